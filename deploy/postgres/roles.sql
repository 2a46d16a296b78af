-- The roles of pawl, once for each cluster and database, as a superuser and in that database. Passwords, if you use them, are yours to set.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['pawl_owner',    -- runs pawl migrate, owns the schemas
                                'pawl_worker',   -- runs pawl run
                                'pawl_operator'] -- runs pawl offsets, dlq, audit, explain, pause, drain, resume
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
    END LOOP;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO pawl_owner', current_database());
END $$;
