-- Ids of events that had their effect, so that a copy of one is recognised. They are kept in tables by time, one set for each
-- group, which are dropped whole. A worker has no right on these tables; it calls the functions below, which belong to the role
-- that migrates.
--
-- The batch of a message inserts its id, and the primary key decides: a batch that meets an id which another batch has just
-- inserted waits for that one's end. But two tables have two primary keys. So all batches of a group that are under way at one
-- time must insert into one table. Each holds an advisory lock of the group, shared; whoever turns to the next table takes it
-- exclusively, and so meets no batch. After the turn every id of the older tables is committed, and can be looked up.

CREATE SEQUENCE pawl.event_id_slot;

CREATE TABLE pawl.event_id_slots (
    slot       bigint      PRIMARY KEY,
    group_name text        NOT NULL,
    opened_at  timestamptz NOT NULL,
    closed_at  timestamptz CHECK (retired_at IS NULL OR closed_at IS NOT NULL),
    retired_at timestamptz
);

CREATE UNIQUE INDEX event_id_slots_open ON pawl.event_id_slots (group_name) WHERE closed_at IS NULL;

-- The pattern of the tables event_ids_1, event_ids_2 ... . Always empty.
CREATE TABLE pawl.event_ids (
    id            uuid    PRIMARY KEY,
    source_offset bigint  NOT NULL,
    topic_hash    integer NOT NULL,
    "partition"   integer NOT NULL
);

COMMENT ON SEQUENCE pawl.event_id_slot IS 'Numbers the tables event_ids_N.';
COMMENT ON TABLE pawl.event_id_slots IS 'The tables that hold event ids, event_ids_N for slot N: a group writes into the one that is open, and looks into those that are not retired.';
COMMENT ON COLUMN pawl.event_id_slots.slot IS 'Number of the table.';
COMMENT ON COLUMN pawl.event_id_slots.group_name IS 'Consumer group.';
COMMENT ON COLUMN pawl.event_id_slots.opened_at IS 'Ids are inserted from then on.';
COMMENT ON COLUMN pawl.event_id_slots.closed_at IS 'And no longer than until then; NULL: still.';
COMMENT ON COLUMN pawl.event_id_slots.retired_at IS 'Since then nobody looks into it, and it is dropped as soon as nobody reads it; NULL: not yet.';
COMMENT ON TABLE pawl.event_ids IS 'Pattern of the tables event_ids_N, which hold the ids of events that had their effect. Itself it is always empty.';
COMMENT ON COLUMN pawl.event_ids.id IS 'XXH3 of the event''s id, 128 bits.';
COMMENT ON COLUMN pawl.event_ids.source_offset IS 'Offset of the record that had the effect.';
COMMENT ON COLUMN pawl.event_ids.topic_hash IS 'Its topic: the low 32 bits of the XXH3 of the name.';
COMMENT ON COLUMN pawl.event_ids."partition" IS 'Its partition.';

-- The advisory lock of a group.
CREATE FUNCTION pawl.event_ids_lock(p_group text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$ SELECT hashtextextended('pawl event ids ' || p_group, 0) $$;

-- Takes ids for the records of one batch. Returns those that were taken before, by their place in the arrays (from 1), and which
-- record has them. The ids of one call must be distinct.
CREATE FUNCTION pawl.event_ids_take(p_group text, p_ids uuid[], p_topics bigint[], p_partitions bigint[], p_offsets bigint[])
RETURNS TABLE (i bigint, topic_hash bigint, "partition" bigint, source_offset bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_open   bigint;
    v_older  text;
    v_missed bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock_shared(pawl.event_ids_lock(p_group));
    SELECT max(s.slot) FILTER (WHERE s.closed_at IS NULL),
           string_agg(format('SELECT h.id, h.source_offset, h.topic_hash, h."partition" FROM pawl.event_ids_%s h', s.slot), ' UNION ALL ')
               FILTER (WHERE s.closed_at IS NOT NULL)
      INTO v_open, v_older
      FROM pawl.event_id_slots s
     WHERE s.group_name = p_group AND s.retired_at IS NULL;
    IF v_open IS NULL THEN
        RAISE EXCEPTION 'group % has no open table for event ids', p_group USING ERRCODE = 'lock_not_available';
    END IF;
    -- Sorted, so that two batches wait for each other in one direction only.
    EXECUTE format(
        'WITH v AS MATERIALIZED (SELECT * FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS v(id, topic, part, at, i)),'
        ' fresh AS (INSERT INTO pawl.event_ids_%s AS t (id, source_offset, topic_hash, "partition")'
        ' SELECT v.id, v.at, v.topic::integer, v.part::integer FROM v %s ORDER BY v.id ON CONFLICT (id) DO NOTHING RETURNING t.id)'
        ' SELECT array_agg(v.i) FROM v WHERE v.id NOT IN (SELECT f.id FROM fresh f)',
        v_open,
        CASE WHEN v_older IS NOT NULL THEN format('WHERE NOT EXISTS (SELECT FROM (%s) o WHERE o.id = v.id)', v_older) END)
       INTO v_missed USING p_ids, p_topics, p_partitions, p_offsets;
    IF v_missed IS NULL THEN
        RETURN;
    END IF;
    -- A statement of its own: what has been waited for is visible only now.
    RETURN QUERY EXECUTE format(
        'SELECT m.i, o.topic_hash::bigint, o."partition"::bigint, o.source_offset FROM unnest($1) AS m(i)'
        ' LEFT JOIN (%s SELECT h.id, h.source_offset, h.topic_hash, h."partition" FROM pawl.event_ids_%s h) o ON o.id = $2[m.i]',
        v_older || ' UNION ALL ', v_open)
        USING v_missed, p_ids;
END
$$;

-- Gives ids back, in the transaction that took them: their records had no effect.
CREATE FUNCTION pawl.event_ids_free(p_group text, p_ids uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_slot bigint;
BEGIN
    FOR v_slot IN SELECT s.slot FROM pawl.event_id_slots s WHERE s.group_name = p_group AND s.retired_at IS NULL ORDER BY s.slot LOOP
        EXECUTE format('DELETE FROM pawl.event_ids_%s WHERE id = ANY ($1)', v_slot) USING p_ids;
    END LOOP;
END
$$;

-- Opens the next table when it is time, or drops one that is retired. Never waits longer than 200 ms for anybody. Returns after how
-- many milliseconds it is worth to be called again.
CREATE FUNCTION pawl.event_ids_turn(p_group text, p_window interval) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
AS $$
DECLARE
    v_now     timestamptz := clock_timestamp();
    v_part    interval    := p_window / 2; -- more tables would keep less beyond the window, and cost a lookup each
    v_open    timestamptz;
    v_next    bigint;
    v_retired bigint;
BEGIN
    SELECT s.opened_at INTO v_open FROM pawl.event_id_slots s WHERE s.group_name = p_group AND s.closed_at IS NULL;
    IF v_open IS NOT NULL AND NOT pg_try_advisory_xact_lock(hashtextextended('pawl event ids turn ' || p_group, 0)) THEN
        RETURN 1000; -- somebody else is at it
    END IF;
    -- A clock that was set back by more than a table's time would otherwise keep the table open for as long.
    IF v_open IS NULL OR v_now >= v_open + v_part OR v_now < v_open - v_part THEN
        BEGIN
            PERFORM pg_advisory_xact_lock(pawl.event_ids_lock(p_group)); -- no batch is under way
            SELECT s.opened_at INTO v_open FROM pawl.event_id_slots s WHERE s.group_name = p_group AND s.closed_at IS NULL;
            v_now := clock_timestamp();
            IF v_open IS NULL OR v_now >= v_open + v_part OR v_now < v_open - v_part THEN
                v_next := nextval('pawl.event_id_slot');
                EXECUTE format('CREATE TABLE pawl.event_ids_%s (LIKE pawl.event_ids INCLUDING ALL) WITH (autovacuum_enabled = false)', v_next);
                UPDATE pawl.event_id_slots s SET closed_at = v_now WHERE s.group_name = p_group AND s.closed_at IS NULL;
                UPDATE pawl.event_id_slots s SET retired_at = v_now
                 WHERE s.group_name = p_group AND s.retired_at IS NULL AND s.closed_at <= v_now - p_window;
                INSERT INTO pawl.event_id_slots (slot, group_name, opened_at) VALUES (v_next, p_group, v_now);
            END IF;
            RETURN 1000; -- then what is retired can go
        EXCEPTION WHEN lock_not_available THEN
            IF v_open IS NULL THEN
                RAISE;
            END IF;
            RETURN 5000; -- a long batch; there is no hurry, ids are only remembered longer
        END;
    END IF;
    SELECT min(s.slot) INTO v_retired FROM pawl.event_id_slots s WHERE s.group_name = p_group AND s.retired_at IS NOT NULL;
    IF v_retired IS NOT NULL THEN
        BEGIN
            EXECUTE format('DROP TABLE pawl.event_ids_%s', v_retired);
            DELETE FROM pawl.event_id_slots s WHERE s.slot = v_retired;
            RETURN 1000;
        EXCEPTION WHEN lock_not_available THEN
            RETURN 10000; -- somebody reads it, a dump perhaps
        END;
    END IF;
    RETURN least(extract(epoch FROM v_open + v_part - v_now) * 1000 + 1, 5000)::bigint;
END
$$;

-- For operators: all ids of a group are forgotten, and their tables dropped. A pipeline that runs goes on with a new table.
CREATE FUNCTION pawl.event_ids_forget(p_group text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s'
AS $$
DECLARE
    v_slot bigint;
    v_n    bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('pawl event ids turn ' || p_group, 0));
    PERFORM pg_advisory_xact_lock(pawl.event_ids_lock(p_group));
    FOR v_slot IN DELETE FROM pawl.event_id_slots s WHERE s.group_name = p_group RETURNING s.slot LOOP
        EXECUTE format('DROP TABLE pawl.event_ids_%s', v_slot);
        v_n := v_n + 1;
    END LOOP;
    RETURN v_n;
END
$$;

REVOKE ALL ON FUNCTION pawl.event_ids_lock(text), pawl.event_ids_take(text, uuid[], bigint[], bigint[], bigint[]),
    pawl.event_ids_free(text, uuid[]), pawl.event_ids_turn(text, interval), pawl.event_ids_forget(text) FROM PUBLIC;

COMMENT ON FUNCTION pawl.event_ids_lock(text) IS 'Key of the advisory lock under which a group''s batches share a table of event ids.';
COMMENT ON FUNCTION pawl.event_ids_take(text, uuid[], bigint[], bigint[], bigint[]) IS 'Takes event ids for the records of a batch; returns those that other records have.';
COMMENT ON FUNCTION pawl.event_ids_free(text, uuid[]) IS 'Gives event ids back whose records had no effect.';
COMMENT ON FUNCTION pawl.event_ids_turn(text, interval) IS 'Opens the next table of event ids when it is time, and drops old ones.';
COMMENT ON FUNCTION pawl.event_ids_forget(text) IS 'Forgets all event ids of a group.';
