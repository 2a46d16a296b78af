-- What became of every offset: one row per batch and partition, each bound to the one before by a hash.

ALTER TABLE pawl.offsets
    ADD COLUMN receipt_n bigint NOT NULL DEFAULT 0,
    ADD COLUMN unrecorded_from bigint;

-- Nobody kept receipts until now: the first one says so.
UPDATE pawl.offsets SET unrecorded_from = start_offset WHERE next_offset <> start_offset;

CREATE TABLE pawl.receipts (
    group_name  text        NOT NULL,
    topic       text        NOT NULL,
    "partition" integer     NOT NULL,
    n           bigint      NOT NULL CHECK (n > 0),
    kind        text        NOT NULL CHECK (kind IN ('batch', 'decision', 'unrecorded', 'break')),
    stands_for  bigint      NOT NULL DEFAULT 1 CHECK (stands_for > 0),
    lo          bigint      NOT NULL,
    hi          bigint      NOT NULL CHECK (hi >= lo OR kind <> 'batch'),
    epoch       bigint      NOT NULL,
    applied     bigint      NOT NULL,
    skipped     bigint      NOT NULL,
    rejected    bigint      NOT NULL,
    duplicate   bigint      NOT NULL,
    parked      bigint      NOT NULL,
    holes       bigint      NOT NULL,
    passed      bigint      NOT NULL,
    fates       text        NOT NULL,
    resolved    text        NOT NULL,
    outbox_from bigint      NOT NULL,
    outbox_to   bigint      NOT NULL CHECK (outbox_to >= outbox_from),
    decision    bigint      NOT NULL DEFAULT 0,
    at          timestamptz NOT NULL,
    prev_hash   bytea       NOT NULL CHECK (length(prev_hash) = 32),
    hash        bytea       NOT NULL CHECK (length(hash) = 32),
    seal        bytea       CHECK (length(seal) = 32),
    PRIMARY KEY (group_name, topic, "partition", n)
);

COMMENT ON COLUMN pawl.offsets.receipt_n IS 'The n of the last receipt of this partition; 0: none yet.';
COMMENT ON COLUMN pawl.offsets.unrecorded_from IS 'From here to next_offset nobody kept receipts: they were off, or not there yet. NULL: each offset has one.';

COMMENT ON TABLE pawl.receipts IS 'What became of every offset: one row per batch and partition, written in its transaction, each bound to the one before by a hash. pawl audit checks them.';
COMMENT ON COLUMN pawl.receipts.group_name IS 'Consumer group.';
COMMENT ON COLUMN pawl.receipts.topic IS 'Source topic.';
COMMENT ON COLUMN pawl.receipts."partition" IS 'Partition of the source topic.';
COMMENT ON COLUMN pawl.receipts.n IS 'Counts the receipts of this partition from 1 without gaps.';
COMMENT ON COLUMN pawl.receipts.kind IS 'batch. decision: an operator moved next_offset. unrecorded: nobody kept receipts from lo to hi. break: the worker found the position, or the last receipt, not where it had been left.';
COMMENT ON COLUMN pawl.receipts.stands_for IS 'How many receipts were folded into this one, which ends with n; 1: none.';
COMMENT ON COLUMN pawl.receipts.lo IS 'next_offset before.';
COMMENT ON COLUMN pawl.receipts.hi IS 'next_offset after. Below lo only where a decision went back.';
COMMENT ON COLUMN pawl.receipts.epoch IS 'Owner epoch of the claim that wrote it.';
COMMENT ON COLUMN pawl.receipts.applied IS 'Messages that had their effect; those in resolved count, here and in the next four.';
COMMENT ON COLUMN pawl.receipts.skipped IS 'Messages that the plugin answered with SKIP.';
COMMENT ON COLUMN pawl.receipts.rejected IS 'Messages that became dead letters.';
COMMENT ON COLUMN pawl.receipts.duplicate IS 'Messages whose event had its effect before.';
COMMENT ON COLUMN pawl.receipts.parked IS 'Messages that were set aside with their key.';
COMMENT ON COLUMN pawl.receipts.holes IS 'Offsets without a record: control records, aborted transactions, compaction.';
COMMENT ON COLUMN pawl.receipts.passed IS 'Offsets that were not handled: a decision went past them, or nobody kept receipts.';
COMMENT ON COLUMN pawl.receipts.fates IS 'The fate of each offset from lo on, as runs of a count and a letter: 120A 1R 2H. A applied, S skipped, R rejected, D duplicate, P parked, H hole, J passed by a decision, U no receipt was kept.';
COMMENT ON COLUMN pawl.receipts.resolved IS 'What became of parked messages, as offset and letter: 1042A 1050R.';
COMMENT ON COLUMN pawl.receipts.outbox_from IS 'The seq in pawl.outbox before: its own rows are those above,';
COMMENT ON COLUMN pawl.receipts.outbox_to IS 'up to this one.';
COMMENT ON COLUMN pawl.receipts.decision IS 'Row of pawl.decisions that explains it; 0: a batch.';
COMMENT ON COLUMN pawl.receipts.at IS 'When, by the clock of the worker that wrote it.';
COMMENT ON COLUMN pawl.receipts.prev_hash IS 'hash of the receipt before; 32 zero bytes: there was none.';
COMMENT ON COLUMN pawl.receipts.hash IS 'SHA-256 over this row and prev_hash, see docs/audit.md. Of a folded one: the hash of the last receipt in it.';
COMMENT ON COLUMN pawl.receipts.seal IS 'Only of a folded one: SHA-256 over this row and hash.';
COMMENT ON COLUMN pawl.decisions.action IS 'What: offsets.set, offsets.accept-gap, pause, drain, resume, dlq.redrive, dlq.drop, dlq.delete, audit.compact.';
