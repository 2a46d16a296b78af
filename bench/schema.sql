CREATE SCHEMA IF NOT EXISTS bench;
CREATE TABLE bench.policy (
    policy_id     text COLLATE "C" PRIMARY KEY,
    status        text NOT NULL,
    premium_minor bigint NOT NULL,
    event_us      bigint NOT NULL
) WITH (fillfactor = 50);
-- Keyed by source coordinates, which grow in order.
CREATE TABLE bench.ledger (
    source_partition int NOT NULL,
    source_offset    bigint NOT NULL,
    policy_id        text NOT NULL,
    amount_minor     bigint NOT NULL,
    event_us         bigint NOT NULL,
    body             text NOT NULL,
    written_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source_partition, source_offset)
);
-- The loop's own positions; the runtime has pawl.offsets.
CREATE TABLE bench.offsets (
    partition   int PRIMARY KEY,
    next_offset bigint NOT NULL DEFAULT 0,
    owner_epoch bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
