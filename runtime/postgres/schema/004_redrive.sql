-- Dead letters that are decided about: sent again, or dropped. And outputs that Kafka never takes, which become dead letters.

ALTER TABLE pawl.outbox DROP CONSTRAINT outbox_kind_check;
ALTER TABLE pawl.outbox
    ADD CONSTRAINT outbox_kind_check CHECK (kind IN (1, 2, 3, 4)),
    ADD COLUMN resolution    text CHECK (resolution IN ('redriven', 'dropped')),
    ADD COLUMN resolved_at   timestamptz,
    ADD COLUMN resolved_by   text,
    ADD COLUMN resolved_seq  bigint,
    ADD COLUMN resolved_note text;

-- Open dead letters of a partition in the order of their source, however many outputs and resolved ones there are.
CREATE INDEX outbox_dead ON pawl.outbox (group_name, topic, "partition", resolution, source_offset, seq) WHERE kind IN (2, 4);

CREATE OR REPLACE VIEW pawl.dead_letters AS
    SELECT group_name, topic, "partition", source_offset, code, reason, plugin, attempt, target, key, value, created_at,
           seq, coalesce(resolution, 'open') AS state, resolved_at, resolved_by, resolved_seq, resolved_note
      FROM pawl.outbox
     WHERE kind IN (2, 4);

CREATE OR REPLACE VIEW pawl.progress AS
    SELECT o.group_name, o.topic, o."partition", o.next_offset, o.start_offset, o.owner, o.owner_epoch, o.claimed_at,
           x.outputs_waiting, x.dead_letters, x.oldest_output_at, x.last_dead_letter_at, k.parked, k.oldest_parked_at,
           x.dead_letters_open
      FROM pawl.offsets o
     CROSS JOIN LATERAL (
           SELECT count(*) FILTER (WHERE b.kind IN (1, 3)) AS outputs_waiting,
                  count(*) FILTER (WHERE b.kind IN (2, 4)) AS dead_letters,
                  min(b.created_at) FILTER (WHERE b.kind IN (1, 3)) AS oldest_output_at,
                  max(b.created_at) FILTER (WHERE b.kind IN (2, 4)) AS last_dead_letter_at,
                  count(*) FILTER (WHERE b.kind IN (2, 4) AND b.resolution IS NULL) AS dead_letters_open
             FROM pawl.outbox b
            WHERE b.group_name = o.group_name AND b.topic = o.topic AND b."partition" = o."partition") x
     CROSS JOIN LATERAL (
           SELECT count(*) AS parked, min(p.parked_at) AS oldest_parked_at
             FROM pawl.parked p
            WHERE p.group_name = o.group_name AND p.topic = o.topic AND p."partition" = o."partition") k;

COMMENT ON COLUMN pawl.outbox.kind IS '1: output of a plugin. 2: dead letter. 3: dead letter that is sent again. 4: output, or dead letter sent again, that Kafka can never take: a dead letter, too.';
COMMENT ON COLUMN pawl.outbox.target IS 'Kafka topic it is for. Of kind 4: the one that did not take it.';
COMMENT ON COLUMN pawl.outbox.resolution IS 'Dead letters: redriven or dropped; NULL: open.';
COMMENT ON COLUMN pawl.outbox.resolved_at IS 'When that was decided.';
COMMENT ON COLUMN pawl.outbox.resolved_by IS 'Who decided: user@host of the operating system.';
COMMENT ON COLUMN pawl.outbox.resolved_seq IS 'Redriven: the seq of the row that is sent again.';
COMMENT ON COLUMN pawl.outbox.resolved_note IS 'Why, in the operator''s words.';

COMMENT ON COLUMN pawl.dead_letters.target IS 'Dead-letter topic it is for; code output.too_large or redrive.too_large: the topic that did not take it.';
COMMENT ON COLUMN pawl.dead_letters.value IS 'Record value as it came; NULL also after it was dropped.';
COMMENT ON COLUMN pawl.dead_letters.seq IS 'Its number in pawl.outbox.';
COMMENT ON COLUMN pawl.dead_letters.state IS 'open, redriven or dropped.';
COMMENT ON COLUMN pawl.dead_letters.resolved_at IS 'When it was decided about.';
COMMENT ON COLUMN pawl.dead_letters.resolved_by IS 'Who decided.';
COMMENT ON COLUMN pawl.dead_letters.resolved_seq IS 'Redriven: the seq of the row that is sent again.';
COMMENT ON COLUMN pawl.dead_letters.resolved_note IS 'Why, in the operator''s words.';

COMMENT ON COLUMN pawl.progress.outputs_waiting IS 'Outputs, and dead letters sent again, in the outbox: not published, or not cleaned up yet.';
COMMENT ON COLUMN pawl.progress.dead_letters IS 'Dead letters in the outbox, whatever their state.';
COMMENT ON COLUMN pawl.progress.dead_letters_open IS 'Of them, those that nobody has decided about.';

COMMENT ON COLUMN pawl.decisions.action IS 'What: offsets.set, offsets.accept-gap, pause, drain, resume, dlq.redrive, dlq.drop.';
COMMENT ON COLUMN pawl.decisions.from_offset IS 'offsets.*: next_offset before. dlq.*: lowest offset of the dead letters. NULL: there is none.';
COMMENT ON COLUMN pawl.decisions.to_offset IS 'offsets.*: next_offset after. dlq.*: highest offset of the dead letters. NULL: there is none.';
