-- Rights on the schema of plugins/underwriting: after grants.sql, as pawl_owner. Repeatable.
GRANT USAGE ON SCHEMA underwriting TO pawl_worker;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA underwriting TO pawl_worker;
