-- Rights on the schema pawl: after each `pawl migrate` that made tables, as pawl_owner. Repeatable.
GRANT USAGE ON SCHEMA pawl TO pawl_worker, pawl_operator;
GRANT SELECT ON ALL TABLES IN SCHEMA pawl TO pawl_worker, pawl_operator;

GRANT INSERT, UPDATE ON pawl.offsets TO pawl_worker;
GRANT INSERT, DELETE ON pawl.outbox TO pawl_worker;                -- DELETE: outputs that are published
GRANT UPDATE (kind, code, reason) ON pawl.outbox TO pawl_worker;   -- outputs that Kafka refuses become dead letters
GRANT INSERT ON pawl.topics, pawl.receipts TO pawl_worker;
GRANT INSERT, UPDATE, DELETE ON pawl.claims TO pawl_worker;
GRANT INSERT, UPDATE, DELETE ON pawl.strikes, pawl.attempts, pawl.parked TO pawl_worker;
GRANT EXECUTE ON FUNCTION pawl.event_ids_take, pawl.event_ids_free, pawl.event_ids_turn TO pawl_worker;   -- dedupe

GRANT INSERT, UPDATE ON pawl.offsets, pawl.pipelines TO pawl_operator;
GRANT INSERT ON pawl.decisions, pawl.receipts TO pawl_operator;
GRANT DELETE ON pawl.receipts TO pawl_operator;                    -- pawl audit --compact; leave it out if nobody folds receipts
GRANT DELETE ON pawl.attempts, pawl.parked TO pawl_operator;       -- messages that an earlier offset brings back
GRANT INSERT ON pawl.outbox TO pawl_operator;                      -- dead letters that are sent again
GRANT UPDATE (value, headers, resolution, resolved_at, resolved_by, resolved_seq, resolved_note) ON pawl.outbox TO pawl_operator;
GRANT EXECUTE ON FUNCTION pawl.event_ids_find TO pawl_operator;     -- pawl explain
