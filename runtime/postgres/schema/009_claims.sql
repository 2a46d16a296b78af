-- Who had a partition when, and with which build of the plugin: receipts name the claim by its epoch. And where an event's id is.

CREATE TABLE pawl.claims (
    group_name  text        NOT NULL,
    topic       text        NOT NULL,
    "partition" integer     NOT NULL,
    epoch       bigint      NOT NULL,
    owner       text        NOT NULL,
    plugin      text        NOT NULL,
    build       text        NOT NULL,
    claimed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, topic, "partition", epoch)
);

COMMENT ON TABLE pawl.claims IS 'The claims of each partition, the last 1000: who, when, and with which plugin. A receipt names its claim by the epoch.';
COMMENT ON COLUMN pawl.claims.group_name IS 'Consumer group.';
COMMENT ON COLUMN pawl.claims.topic IS 'Source topic.';
COMMENT ON COLUMN pawl.claims."partition" IS 'Source partition.';
COMMENT ON COLUMN pawl.claims.epoch IS 'owner_epoch that the claim set.';
COMMENT ON COLUMN pawl.claims.owner IS 'The worker: instance/pipeline/slot.';
COMMENT ON COLUMN pawl.claims.plugin IS 'Plugin id and version.';
COMMENT ON COLUMN pawl.claims.build IS 'Staged file of the plugin, named by its content.';
COMMENT ON COLUMN pawl.claims.claimed_at IS 'When.';

-- For people: which records have these event ids. Ids of tables that nobody looks into any more are not found.
CREATE FUNCTION pawl.event_ids_find(p_group text, p_ids uuid[])
RETURNS TABLE (id uuid, topic_hash integer, "partition" integer, source_offset bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_slot bigint;
BEGIN
    FOR v_slot IN SELECT s.slot FROM pawl.event_id_slots s WHERE s.group_name = p_group AND s.retired_at IS NULL ORDER BY s.slot LOOP
        RETURN QUERY EXECUTE format(
            'SELECT h.id, h.topic_hash, h."partition", h.source_offset FROM pawl.event_ids_%s h WHERE h.id = ANY ($1)', v_slot) USING p_ids;
    END LOOP;
END
$$;

REVOKE ALL ON FUNCTION pawl.event_ids_find(text, uuid[]) FROM PUBLIC;

COMMENT ON FUNCTION pawl.event_ids_find(text, uuid[]) IS 'Which records of a group have these event ids.';
