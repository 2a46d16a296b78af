-- One event may change what several periods cost, each a row. The new key is built while workers go on. If it fails half-way it leaves an
-- index that is not valid, which step 4 replaces.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS premium_key
    ON underwriting.premium (source_topic, source_partition, source_offset, policy_version);
