-- Takes the new key over: a moment, however large the table is, unless step 3 was broken off and has left an index of no use.
DO $$
BEGIN
    IF (SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = 'underwriting.premium_key'::regclass) THEN
        ALTER TABLE underwriting.premium DROP CONSTRAINT premium_pkey, ADD CONSTRAINT premium_pkey PRIMARY KEY USING INDEX premium_key;
    ELSE
        DROP INDEX underwriting.premium_key;
        ALTER TABLE underwriting.premium DROP CONSTRAINT premium_pkey,
            ADD CONSTRAINT premium_pkey PRIMARY KEY (source_topic, source_partition, source_offset, policy_version);
    END IF;
END $$;
