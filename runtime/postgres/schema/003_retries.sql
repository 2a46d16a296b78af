-- Messages that are tried again: how often that was, and those that were set aside with their key.

CREATE TABLE pawl.attempts (
    group_name    text        NOT NULL,
    topic         text        NOT NULL,
    "partition"   integer     NOT NULL,
    source_offset bigint      NOT NULL,
    attempts      integer     NOT NULL CHECK (attempts > 0),
    retry_at      timestamptz NOT NULL,
    code          text,
    reason        text,
    PRIMARY KEY (group_name, topic, "partition")
);

CREATE TABLE pawl.parked (
    group_name     text        NOT NULL,
    topic          text        NOT NULL,
    "partition"    integer     NOT NULL,
    source_offset  bigint      NOT NULL,
    key_hash       bigint      NOT NULL,
    key            bytea,
    value          bytea,
    headers        bytea,
    timestamp_ms   bigint      NOT NULL,
    timestamp_type smallint    NOT NULL,
    bytes          bigint      NOT NULL,
    attempts       integer     NOT NULL CHECK (attempts >= 0),
    retry_at       timestamptz NOT NULL,
    code           text,
    reason         text,
    parked_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, topic, "partition", source_offset)
) WITH (
    -- It is short most of the time and comes and goes: a vacuum after a few hundred rows keeps it so.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 500
);

CREATE OR REPLACE VIEW pawl.progress AS
    SELECT o.group_name, o.topic, o."partition", o.next_offset, o.start_offset, o.owner, o.owner_epoch, o.claimed_at,
           x.outputs_waiting, x.dead_letters, x.oldest_output_at, x.last_dead_letter_at, k.parked, k.oldest_parked_at
      FROM pawl.offsets o
     CROSS JOIN LATERAL (
           SELECT count(*) FILTER (WHERE b.kind = 1) AS outputs_waiting,
                  count(*) FILTER (WHERE b.kind = 2) AS dead_letters,
                  min(b.created_at) FILTER (WHERE b.kind = 1) AS oldest_output_at,
                  max(b.created_at) FILTER (WHERE b.kind = 2) AS last_dead_letter_at
             FROM pawl.outbox b
            WHERE b.group_name = o.group_name AND b.topic = o.topic AND b."partition" = o."partition") x
     CROSS JOIN LATERAL (
           SELECT count(*) AS parked, min(p.parked_at) AS oldest_parked_at
             FROM pawl.parked p
            WHERE p.group_name = o.group_name AND p.topic = o.topic AND p."partition" = o."partition") k;

COMMENT ON TABLE pawl.attempts IS 'The message at the front of a partition that asked to be called again, so that a restart neither forgets its attempts nor its wait. Gone with the batch that moves past it.';
COMMENT ON COLUMN pawl.attempts.group_name IS 'Consumer group.';
COMMENT ON COLUMN pawl.attempts.topic IS 'Source topic.';
COMMENT ON COLUMN pawl.attempts."partition" IS 'Source partition.';
COMMENT ON COLUMN pawl.attempts.source_offset IS 'Offset of the message; it says nothing about another.';
COMMENT ON COLUMN pawl.attempts.attempts IS 'How often the message has been tried.';
COMMENT ON COLUMN pawl.attempts.retry_at IS 'Not before, by the clock of this database.';
COMMENT ON COLUMN pawl.attempts.code IS 'Why, for machines.';
COMMENT ON COLUMN pawl.attempts.reason IS 'Why, for people.';

COMMENT ON TABLE pawl.parked IS 'Messages that were set aside with their key (retry.mode: park). The position is past them; of one key they are applied in the order of their offsets.';
COMMENT ON COLUMN pawl.parked.group_name IS 'Consumer group.';
COMMENT ON COLUMN pawl.parked.topic IS 'Source topic.';
COMMENT ON COLUMN pawl.parked."partition" IS 'Source partition.';
COMMENT ON COLUMN pawl.parked.source_offset IS 'Offset of the message.';
COMMENT ON COLUMN pawl.parked.key_hash IS 'Which messages wait for each other: those with the same number (XXH3 of the key). 0: no key, it waits for nobody.';
COMMENT ON COLUMN pawl.parked.key IS 'Record key as it came; NULL: none.';
COMMENT ON COLUMN pawl.parked.value IS 'Record value as it came; NULL: a tombstone.';
COMMENT ON COLUMN pawl.parked.headers IS 'Record headers, as in pawl.outbox.';
COMMENT ON COLUMN pawl.parked.timestamp_ms IS 'Timestamp of the record in ms since 1970, -1: none.';
COMMENT ON COLUMN pawl.parked.timestamp_type IS '0: none, 1: set by the producer, 2: by the broker.';
COMMENT ON COLUMN pawl.parked.bytes IS 'Key, value and headers; what retry.park_max_bytes counts.';
COMMENT ON COLUMN pawl.parked.attempts IS 'How often the message has been tried; 0: only its key waits.';
COMMENT ON COLUMN pawl.parked.retry_at IS 'Not before, by the clock of this database.';
COMMENT ON COLUMN pawl.parked.code IS 'Why, for machines; NULL: its key waits.';
COMMENT ON COLUMN pawl.parked.reason IS 'Why, for people.';
COMMENT ON COLUMN pawl.parked.parked_at IS 'Start of the transaction that set it aside.';

COMMENT ON COLUMN pawl.progress.parked IS 'Messages that are parked.';
COMMENT ON COLUMN pawl.progress.oldest_parked_at IS 'When the oldest of them was set aside.';
