-- What operators decide: audited, and heeded by running workers.

CREATE TABLE pawl.decisions (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    "by"        text        NOT NULL,
    action      text        NOT NULL,
    group_name  text        NOT NULL,
    topic       text,
    "partition" integer,
    from_offset bigint,
    to_offset   bigint,
    reason      text
);

CREATE TABLE pawl.pipelines (
    group_name text        PRIMARY KEY,
    state      text        NOT NULL CHECK (state IN ('running', 'paused', 'drained')),
    reason     text,
    "by"       text        NOT NULL,
    at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE pawl.topics (
    group_name text        NOT NULL,
    topic      text        NOT NULL,
    partitions integer     NOT NULL CHECK (partitions > 0),
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, topic)
);

-- Groups that were here before: all they have rows of is known to them.
INSERT INTO pawl.topics (group_name, topic, partitions)
SELECT group_name, topic, max("partition") + 1 FROM pawl.offsets GROUP BY group_name, topic;

COMMENT ON TABLE pawl.decisions IS 'Decisions of operators, one row each, never changed.';
COMMENT ON COLUMN pawl.decisions.id IS 'In the order in which they were made.';
COMMENT ON COLUMN pawl.decisions.at IS 'Time of the decision.';
COMMENT ON COLUMN pawl.decisions."by" IS 'Who: user@host of the operating system.';
COMMENT ON COLUMN pawl.decisions.action IS 'What: offsets.set, offsets.accept-gap, pause, drain, resume.';
COMMENT ON COLUMN pawl.decisions.group_name IS 'Consumer group.';
COMMENT ON COLUMN pawl.decisions.topic IS 'Source topic; NULL: the whole pipeline.';
COMMENT ON COLUMN pawl.decisions."partition" IS 'Partition; NULL: the whole pipeline.';
COMMENT ON COLUMN pawl.decisions.from_offset IS 'next_offset before; NULL: there was none, or the decision is not about offsets.';
COMMENT ON COLUMN pawl.decisions.to_offset IS 'next_offset after; NULL: the decision is not about offsets.';
COMMENT ON COLUMN pawl.decisions.reason IS 'Why, in the operator''s words.';

COMMENT ON TABLE pawl.pipelines IS 'What operators want of a pipeline; without a row it runs. Workers look once a second.';
COMMENT ON COLUMN pawl.pipelines.group_name IS 'Consumer group of the pipeline.';
COMMENT ON COLUMN pawl.pipelines.state IS 'running, paused or drained. In the two last no batch is begun.';
COMMENT ON COLUMN pawl.pipelines.reason IS 'Why, in the operator''s words.';
COMMENT ON COLUMN pawl.pipelines."by" IS 'Who: user@host of the operating system.';
COMMENT ON COLUMN pawl.pipelines.at IS 'Since when.';

COMMENT ON TABLE pawl.topics IS 'How many partitions a topic had when the group began with it. Partitions above were added later and are read from their start.';
COMMENT ON COLUMN pawl.topics.group_name IS 'Consumer group.';
COMMENT ON COLUMN pawl.topics.topic IS 'Source topic.';
COMMENT ON COLUMN pawl.topics.partitions IS 'Partitions it had then.';
COMMENT ON COLUMN pawl.topics.at IS 'When the group began with it.';
