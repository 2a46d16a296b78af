CREATE SCHEMA IF NOT EXISTS underwriting;

-- One row per policy: its current period. COLLATE "C": ids are compared as bytes, which is cheaper. fillfactor: room for the
-- next version of a row on its own page, so that a renewal touches no index (there is none but the key).
CREATE TABLE underwriting.policy (
    policy_id     text COLLATE "C" PRIMARY KEY,
    version       bigint NOT NULL, -- events applied: 1 when issued, one more with each
    premium_minor bigint NOT NULL, -- of the current period, in minor units (kopecks)
    starts_on     date NOT NULL,
    ends_on       date NOT NULL,   -- last day of cover; of a cancelled policy, too, the end of the period that was paid for
    status        text NOT NULL,   -- active, cancelled
    bonus_malus   text NOT NULL,
    currency      text NOT NULL
) WITH (fillfactor = 70);

-- One row per applied event, never changed. Keyed by where the event stood: it grows in order, and one event is charged
-- once because its effects and its offset are committed together, not because of this key.
CREATE TABLE underwriting.premium (
    source_offset    bigint NOT NULL,
    source_partition integer NOT NULL,
    policy_version   bigint NOT NULL,  -- of the policy, as this event left it: 1, 2, 3 without a gap in the order of the source
    amount_minor     bigint NOT NULL,  -- charged; negative: paid back
    occurred_at      timestamptz NOT NULL,
    source_topic     text COLLATE "C" NOT NULL,
    event_id         text COLLATE "C" NOT NULL,
    policy_id        text COLLATE "C" NOT NULL,
    kind             text NOT NULL,    -- issued, renewed, cancelled
    currency         text NOT NULL,
    breakdown        text NOT NULL,    -- what was multiplied: "base=576050 territory=1.8 bonus_malus=0.46 ..."
    PRIMARY KEY (source_topic, source_partition, source_offset)
);
