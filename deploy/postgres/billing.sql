-- Rights on the schema of plugins/billing: after grants.sql, as pawl_owner. Repeatable.
GRANT USAGE ON SCHEMA billing TO pawl_worker;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA billing TO pawl_worker;
GRANT UPDATE ON billing.account, billing.period TO pawl_worker;   -- period: for LOCK TABLE; its rows cannot be updated
