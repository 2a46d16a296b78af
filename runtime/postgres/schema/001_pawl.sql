-- The runtime's own tables. `pawl migrate` has made the schema and pawl.migrations before this runs.
-- Applied once and kept by its checksum: a change goes into the next file, never into this one.

CREATE TABLE pawl.offsets (
    group_name      text        NOT NULL,
    topic           text        NOT NULL,
    "partition"     integer     NOT NULL CHECK ("partition" >= 0),
    next_offset     bigint      NOT NULL CHECK (next_offset >= 0),
    owner_epoch     bigint      NOT NULL DEFAULT 0,
    outbox_seq      bigint      NOT NULL DEFAULT 0,
    published_seq   bigint      NOT NULL DEFAULT 0 CHECK (published_seq <= outbox_seq),
    owner           text,
    start_offset    bigint      NOT NULL,
    bookmark_offset bigint,
    bookmark_hash   bigint,
    cluster_id      text,
    topic_id        text,
    leader_epoch    integer,
    claimed_at      timestamptz,
    PRIMARY KEY (group_name, topic, "partition")
) WITH (
    -- Every batch updates its row. Half-empty pages and an index on the key only keep those updates inside one page (HOT), and
    -- a vacuum after a few thousand of them keeps the table at a few pages however small it is.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000
);

CREATE TABLE pawl.outbox (
    group_name    text        NOT NULL,
    topic         text        NOT NULL,
    "partition"   integer     NOT NULL,
    seq           bigint      NOT NULL,
    kind          smallint    NOT NULL CHECK (kind IN (1, 2)),
    source_offset bigint      NOT NULL,
    target        text        NOT NULL,
    key           bytea,
    value         bytea,
    headers       bytea,
    code          text,
    reason        text,
    plugin        text,
    attempt       integer,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, topic, "partition", seq)
);

CREATE VIEW pawl.dead_letters AS
    SELECT group_name, topic, "partition", source_offset, code, reason, plugin, attempt, target, key, value, created_at
      FROM pawl.outbox
     WHERE kind = 2;

CREATE VIEW pawl.progress AS
    SELECT o.group_name, o.topic, o."partition", o.next_offset, o.start_offset, o.owner, o.owner_epoch, o.claimed_at,
           x.outputs_waiting, x.dead_letters, x.oldest_output_at, x.last_dead_letter_at
      FROM pawl.offsets o
     CROSS JOIN LATERAL (
           SELECT count(*) FILTER (WHERE b.kind = 1) AS outputs_waiting,
                  count(*) FILTER (WHERE b.kind = 2) AS dead_letters,
                  min(b.created_at) FILTER (WHERE b.kind = 1) AS oldest_output_at,
                  max(b.created_at) FILTER (WHERE b.kind = 2) AS last_dead_letter_at
             FROM pawl.outbox b
            WHERE b.group_name = o.group_name AND b.topic = o.topic AND b."partition" = o."partition") x;

COMMENT ON TABLE pawl.offsets IS 'One row per partition of a group: where it goes on. Updated in the transaction of every batch; a worker that does not own the row commits nothing.';
COMMENT ON COLUMN pawl.offsets.group_name IS 'Consumer group, as in the topology.';
COMMENT ON COLUMN pawl.offsets.topic IS 'Source topic.';
COMMENT ON COLUMN pawl.offsets."partition" IS 'Partition of the source topic.';
COMMENT ON COLUMN pawl.offsets.next_offset IS 'The first offset that is not applied yet. All effects of the ones below are committed.';
COMMENT ON COLUMN pawl.offsets.owner_epoch IS 'Counts claims. A batch commits only while it carries the epoch of its claim.';
COMMENT ON COLUMN pawl.offsets.published_seq IS 'Outbox rows up to this seq are published; the outputs among them are deleted.';
COMMENT ON COLUMN pawl.offsets.outbox_seq IS 'The seq of the last row this partition wrote to pawl.outbox; 0: none yet.';
COMMENT ON COLUMN pawl.offsets.owner IS 'Who claimed it last: instance, process and start time, for people.';
COMMENT ON COLUMN pawl.offsets.start_offset IS 'Where the group began with this partition.';
COMMENT ON COLUMN pawl.offsets.bookmark_offset IS 'Offset of the last record that was applied; below next_offset - 1 where the log has holes.';
COMMENT ON COLUMN pawl.offsets.bookmark_hash IS 'Fingerprint of the record at bookmark_offset. If that offset now holds another record, the topic was recreated or lost its tail.';
COMMENT ON COLUMN pawl.offsets.cluster_id IS 'Id of the Kafka cluster the offsets belong to.';
COMMENT ON COLUMN pawl.offsets.topic_id IS 'Id of the topic, where the client library tells it.';
COMMENT ON COLUMN pawl.offsets.leader_epoch IS 'Leader epoch of the last record that was applied, where the client library tells it.';
COMMENT ON COLUMN pawl.offsets.claimed_at IS 'Time of the last claim.';

COMMENT ON TABLE pawl.outbox IS 'Records to be published to Kafka and dead letters, written in the transaction of the message that caused them.';
COMMENT ON COLUMN pawl.outbox.group_name IS 'Consumer group of the source.';
COMMENT ON COLUMN pawl.outbox.topic IS 'Source topic.';
COMMENT ON COLUMN pawl.outbox."partition" IS 'Source partition.';
COMMENT ON COLUMN pawl.outbox.seq IS 'Counts the rows of this source partition from 1 without gaps, in the order of their messages.';
COMMENT ON COLUMN pawl.outbox.kind IS '1: output of a plugin. 2: dead letter.';
COMMENT ON COLUMN pawl.outbox.source_offset IS 'Offset of the message that caused it.';
COMMENT ON COLUMN pawl.outbox.target IS 'Kafka topic it is for.';
COMMENT ON COLUMN pawl.outbox.key IS 'Record key; NULL: none.';
COMMENT ON COLUMN pawl.outbox.value IS 'Record value; NULL: a tombstone.';
COMMENT ON COLUMN pawl.outbox.headers IS 'Record headers; NULL: none. All integers big-endian: u32 count, then for each header u32 length of the name, the name (UTF-8), i32 length of the value or -1 for null, the value.';
COMMENT ON COLUMN pawl.outbox.code IS 'Dead letters: why, for machines. Stable and dotted, such as policy.unknown.';
COMMENT ON COLUMN pawl.outbox.reason IS 'Dead letters: why, for people.';
COMMENT ON COLUMN pawl.outbox.plugin IS 'Plugin id and version that wrote or refused it.';
COMMENT ON COLUMN pawl.outbox.attempt IS 'Dead letters: how often the message had been tried.';
COMMENT ON COLUMN pawl.outbox.created_at IS 'Start of the transaction that wrote it.';

COMMENT ON VIEW pawl.dead_letters IS 'Messages that were set aside, with the record as it was.';
COMMENT ON COLUMN pawl.dead_letters.group_name IS 'Consumer group.';
COMMENT ON COLUMN pawl.dead_letters.topic IS 'Source topic.';
COMMENT ON COLUMN pawl.dead_letters."partition" IS 'Source partition.';
COMMENT ON COLUMN pawl.dead_letters.source_offset IS 'Offset of the message.';
COMMENT ON COLUMN pawl.dead_letters.code IS 'Why, for machines.';
COMMENT ON COLUMN pawl.dead_letters.reason IS 'Why, for people.';
COMMENT ON COLUMN pawl.dead_letters.plugin IS 'Plugin id and version.';
COMMENT ON COLUMN pawl.dead_letters.attempt IS 'How often the message had been tried.';
COMMENT ON COLUMN pawl.dead_letters.target IS 'Dead-letter topic it is for.';
COMMENT ON COLUMN pawl.dead_letters.key IS 'Record key as it came.';
COMMENT ON COLUMN pawl.dead_letters.value IS 'Record value as it came.';
COMMENT ON COLUMN pawl.dead_letters.created_at IS 'When it was set aside.';

COMMENT ON VIEW pawl.progress IS 'Where every partition stands, who has it, and what waits in the outbox.';
COMMENT ON COLUMN pawl.progress.group_name IS 'Consumer group.';
COMMENT ON COLUMN pawl.progress.topic IS 'Source topic.';
COMMENT ON COLUMN pawl.progress."partition" IS 'Source partition.';
COMMENT ON COLUMN pawl.progress.next_offset IS 'The first offset that is not applied yet.';
COMMENT ON COLUMN pawl.progress.start_offset IS 'Where the group began.';
COMMENT ON COLUMN pawl.progress.owner IS 'Who claimed it last.';
COMMENT ON COLUMN pawl.progress.owner_epoch IS 'How often it was claimed.';
COMMENT ON COLUMN pawl.progress.claimed_at IS 'Time of the last claim.';
COMMENT ON COLUMN pawl.progress.outputs_waiting IS 'Outputs in the outbox: not published, or not cleaned up yet.';
COMMENT ON COLUMN pawl.progress.dead_letters IS 'Dead letters in the outbox.';
COMMENT ON COLUMN pawl.progress.oldest_output_at IS 'When the oldest output that waits was written.';
COMMENT ON COLUMN pawl.progress.last_dead_letter_at IS 'Time of the last dead letter.';
