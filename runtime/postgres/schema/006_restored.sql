-- What operators decide about a database that was restored to the past, and about a group offset that was lost.

ALTER TABLE pawl.offsets
    ADD COLUMN decided_said   bigint,
    ADD COLUMN decided_outbox bigint,
    ADD COLUMN decided_seq    bigint,
    ADD COLUMN decided_offset bigint;

ALTER TABLE pawl.decisions
    ADD COLUMN from_seq bigint,
    ADD COLUMN to_seq   bigint;

COMMENT ON COLUMN pawl.offsets.decided_said IS 'pawl offsets restored: the last outbox row published, as the group''s offset said then; -1: it said nothing. NULL: nothing was decided.';
COMMENT ON COLUMN pawl.offsets.decided_outbox IS 'pawl offsets restored: outbox_seq then.';
COMMENT ON COLUMN pawl.offsets.decided_seq IS 'pawl offsets restored: this outbox row counts as the last one published. Above outbox_seq: rows up to it are made again and not published again.';
COMMENT ON COLUMN pawl.offsets.decided_offset IS 'pawl offsets restored: where rows are skipped, messages below this offset must have made them up to decided_seq (NULL: not compared); else what the group''s offset is set to.';
COMMENT ON COLUMN pawl.decisions.action IS 'What: offsets.set, offsets.accept-gap, offsets.skip-published, offsets.republish, pause, drain, resume, dlq.redrive, dlq.drop, dlq.delete, audit.compact.';
COMMENT ON COLUMN pawl.decisions.from_seq IS 'First of the outbox rows that it is about; NULL: it is not about them.';
COMMENT ON COLUMN pawl.decisions.to_seq IS 'Last of them.';
