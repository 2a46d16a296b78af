-- Crashes: how often a message has ended a worker, kept over restarts; and what is known of its end, in its dead letter.

CREATE TABLE pawl.strikes (
    group_name    text        NOT NULL,
    topic         text        NOT NULL,
    "partition"   integer     NOT NULL,
    source_offset bigint      NOT NULL,
    build         text        NOT NULL,
    strikes       integer     NOT NULL CHECK (strikes > 0),
    how           text        NOT NULL,
    signal        text,
    backtrace     text,
    at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, topic, "partition", source_offset)
);

ALTER TABLE pawl.outbox ADD COLUMN signal text, ADD COLUMN backtrace text;

CREATE OR REPLACE VIEW pawl.dead_letters AS
    SELECT group_name, topic, "partition", source_offset, code, reason, plugin, attempt, target, key, value, created_at,
           seq, coalesce(resolution, 'open') AS state, resolved_at, resolved_by, resolved_seq, resolved_note, signal, backtrace
      FROM pawl.outbox
     WHERE kind IN (2, 4);

COMMENT ON TABLE pawl.strikes IS 'Messages that have ended a worker and are not done yet. Written when their partition is claimed again, before they are tried again; deleted in the transaction that is done with them.';
COMMENT ON COLUMN pawl.strikes.group_name IS 'Consumer group.';
COMMENT ON COLUMN pawl.strikes.topic IS 'Source topic.';
COMMENT ON COLUMN pawl.strikes."partition" IS 'Source partition.';
COMMENT ON COLUMN pawl.strikes.source_offset IS 'Offset of the message.';
COMMENT ON COLUMN pawl.strikes.build IS 'Staged file of the plugin, named by its content. Strikes count for this build only.';
COMMENT ON COLUMN pawl.strikes.strikes IS 'How many workers the message has ended.';
COMMENT ON COLUMN pawl.strikes.how IS 'How the last one ended: a signal, an exit code, or which limit it went past.';
COMMENT ON COLUMN pawl.strikes.signal IS 'The signal that ended the last one; NULL: it ended itself.';
COMMENT ON COLUMN pawl.strikes.backtrace IS 'Where the last one was, a frame a line; NULL: not known.';
COMMENT ON COLUMN pawl.strikes.at IS 'When the last strike was written down.';

COMMENT ON COLUMN pawl.outbox.signal IS 'Dead letters of a crash: the signal that ended the worker; NULL: it ended itself.';
COMMENT ON COLUMN pawl.outbox.backtrace IS 'Dead letters of a crash: where the worker was, a frame a line; NULL: not known.';
COMMENT ON COLUMN pawl.dead_letters.signal IS 'Crashes: the signal that ended the worker; NULL: it ended itself.';
COMMENT ON COLUMN pawl.dead_letters.backtrace IS 'Crashes: where the worker was, a frame a line; NULL: not known.';
