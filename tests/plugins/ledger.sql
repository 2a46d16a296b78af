CREATE SCHEMA IF NOT EXISTS test;

-- No unique key anywhere but on the state: a message that is applied twice must show.
CREATE TABLE test.ledger (
    n             bigint GENERATED ALWAYS AS IDENTITY, -- order of insertion
    topic         text NOT NULL,
    partition     bigint NOT NULL,
    source_offset bigint NOT NULL,
    key           text,
    seq           bigint NOT NULL,
    count         bigint NOT NULL,                     -- of the key, this message included, as the handler saw it
    body          text,
    backend       int NOT NULL DEFAULT pg_backend_pid(),
    written_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE test.state (
    key   text PRIMARY KEY,
    seq   bigint NOT NULL,
    count bigint NOT NULL
);
CREATE TABLE test.provoked (
    kind text NOT NULL,
    arg  bigint NOT NULL CHECK (arg >= 0)
);
CREATE TABLE test.by_key (
    key  text NOT NULL,
    hits bigint NOT NULL
);
-- Switches that a test turns while the worker runs.
CREATE TABLE test.switch (
    name text PRIMARY KEY
);
CREATE FUNCTION test.provoke(kind text, arg bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    CASE kind
    WHEN 'divide' THEN RETURN 1 / (arg - arg);
    WHEN 'raise' THEN RAISE EXCEPTION 'provoked by %', arg;
    WHEN 'check' THEN RETURN -1;
    WHEN 'slowsql' THEN PERFORM pg_sleep(arg / 1000.0); RETURN arg;
    WHEN 'outage' THEN
        IF EXISTS (SELECT FROM test.switch WHERE name = 'outage') THEN
            RAISE EXCEPTION 'provoked outage' USING ERRCODE = '40001';
        END IF;
        RETURN arg;
    ELSE RETURN arg;
    END CASE;
END $$;
