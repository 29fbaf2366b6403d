-- Who has to take a letter over.
--
-- Letters to one id stay in order because of two rules. At any time the letters to one id that have
-- a living target have one and the same, and they are older than those that have none: a new letter
-- stays without a target while an older one is without, or lies at another node (`target_v1`).
-- Letters without a target are routed together, all that one id has (`route_v1`). Both are called
-- under the lock on the log, from which positions come.
--
-- Acts on dead letters (those with a slot) go by their slot and are ordered by nothing else.

-- Letters without a target are found by the index that has only those.
DROP INDEX {schema}.mailbox_target;

CREATE INDEX mailbox_target ON {schema}.mailbox (target, position) WHERE target IS NOT NULL;

CREATE INDEX mailbox_unrouted ON {schema}.mailbox (execution_id, position) WHERE target IS NULL;

-- The target of a new letter that a node, or a client (0), posts; null: it has to be routed.
CREATE FUNCTION {schema}.target_v1(
  letter_to text, letter_kind text, letter_about text, letter_slot integer, me bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  here bigint;
  known boolean;
  wanted bigint;
BEGIN
  IF letter_slot IS NOT NULL THEN
    SELECT owner INTO wanted FROM {schema}.slots
    WHERE service = letter_about AND slot = letter_slot AND {schema}.alive_v1(owner);
    RETURN wanted;
  END IF;
  SELECT
    newest.key IS NOT NULL,
    owners.incarnation,
    CASE WHEN EXISTS (
      SELECT FROM {schema}.mailbox
      WHERE execution_id = letter_to AND target IS NULL AND slot IS NULL
    ) THEN 0 ELSE (
      SELECT coalesce(living.incarnation, 0) FROM {schema}.mailbox
      LEFT JOIN {schema}.nodes AS living
        ON living.incarnation = target AND stopped_at IS NULL AND lost_at IS NULL
      WHERE execution_id = letter_to AND target IS NOT NULL AND slot IS NULL LIMIT 1
    ) END
  INTO known, wanted, here
  FROM (SELECT) AS letter
  LEFT JOIN LATERAL (
    SELECT key, owner FROM {schema}.executions WHERE id = letter_to ORDER BY run DESC LIMIT 1
  ) AS newest ON true
  LEFT JOIN {schema}.nodes AS owners
    ON owners.incarnation = newest.owner AND stopped_at IS NULL AND lost_at IS NULL;
  IF here = 0 THEN
    RETURN NULL;  -- an older letter has no living target: this one comes after it
  END IF;
  IF NOT known THEN
    wanted := CASE
      WHEN here IS NOT NULL THEN here
      WHEN letter_kind <> 'start' OR {schema}.hosts_v1(me, letter_about, 0) THEN nullif(me, 0)
    END;
  END IF;
  RETURN CASE WHEN here IS NULL OR here = wanted THEN wanted END;
END $$;

-- The nodes that have to take over the unrouted letters to some ids, as far as this one can tell;
-- and the keys of executions that it has to take over before, with their dead owners. What has ended
-- needs its code only where it is to go on; what nobody hosts can be terminated by anybody.
CREATE FUNCTION {schema}.destinations_v1(me bigint, ids text[])
RETURNS TABLE (id text, node bigint, takes_over bigint, former bigint)
LANGUAGE sql VOLATILE ROWS 50 AS $$
  WITH hosted AS MATERIALIZED (
    SELECT name, max(version) AS version
    FROM {schema}.nodes, unnest(workflows, versions) AS announced (name, version)
    WHERE incarnation = me GROUP BY name
  ), looked AS (
    SELECT asked.id, newest.key, newest.owner, owners.incarnation AS living,
      heres.incarnation AS here, begins.position IS NOT NULL AS begun, begins.about,
      CASE WHEN newest.version <= hosted.version
        OR (newest.ended AND hosted.name IS NOT NULL AND NOT letters.go_on)
        OR (letters.terminate AND NOT EXISTS (
          SELECT FROM {schema}.nodes, unnest(workflows, versions) AS code (name, version)
          WHERE stopped_at IS NULL AND lost_at IS NULL
            AND code.name = newest.name AND code.version >= newest.version
        )) THEN me END AS adopter,
      hosted.name AS hosted
    FROM unnest(ids) AS asked (id)
    LEFT JOIN LATERAL (
      SELECT key, owner, name, version,
        status NOT IN ('running', 'compensating', 'incident', 'continued') AS ended
      FROM {schema}.executions WHERE executions.id = asked.id ORDER BY run DESC LIMIT 1
    ) AS newest ON true
    LEFT JOIN LATERAL (
      SELECT bool_or(kind IN ('retry', 'reset', 'continue', 'undo')) AS go_on,
        bool_or(kind = 'terminate') AS terminate
      FROM {schema}.mailbox WHERE execution_id = asked.id AND slot IS NULL
    ) AS letters ON newest.key IS NOT NULL
    LEFT JOIN {schema}.nodes AS owners ON owners.incarnation = newest.owner
      AND owners.stopped_at IS NULL AND owners.lost_at IS NULL
    LEFT JOIN LATERAL (
      SELECT target FROM {schema}.mailbox
      WHERE execution_id = asked.id AND target IS NOT NULL AND slot IS NULL LIMIT 1
    ) AS routed ON true
    LEFT JOIN {schema}.nodes AS heres ON heres.incarnation = routed.target
      AND heres.stopped_at IS NULL AND heres.lost_at IS NULL
    LEFT JOIN LATERAL (
      SELECT about, position FROM {schema}.mailbox
      WHERE execution_id = asked.id AND slot IS NULL AND kind = 'start'
      ORDER BY position LIMIT 1
    ) AS begins ON newest.key IS NULL
    LEFT JOIN hosted ON hosted.name = coalesce(newest.name, begins.about)
  ), aimed AS (
    SELECT looked.*, CASE
      WHEN key IS NOT NULL THEN coalesce(living, adopter)
      WHEN here IS NOT NULL THEN here
      WHEN NOT begun OR about IS NULL OR hosted IS NOT NULL THEN me
    END AS node
    FROM looked
  )
  SELECT id, node, CASE WHEN living IS NULL THEN key END, owner FROM aimed
  WHERE node IS NOT NULL
    AND (here IS NULL OR here = node)  -- else what lies there has to be taken over first
$$;

-- The ids to which letters without a living target may have one now, of those with the oldest
-- letters, until they have so many letters; `depth` is how many ids to look at, null all. It needs
-- no lock: who is asked again under one may say no.
CREATE FUNCTION {schema}.routable_v1(me bigint, at_most integer, depth integer) RETURNS text[]
LANGUAGE sql VOLATILE AS $$
  WITH unrouted AS (
    SELECT execution_id, position, kind, about FROM {schema}.mailbox
    WHERE target IS NULL AND slot IS NULL
    UNION ALL
    SELECT execution_id, position, kind, about FROM {schema}.mailbox
    WHERE target = ANY ({schema}.dead_v1()) AND slot IS NULL
  ), mine AS (
    SELECT coalesce(array_agg(workflow), '{}') AS workflows
    FROM {schema}.nodes, unnest(workflows) AS workflow WHERE incarnation = me
  ), addressed AS MATERIALIZED (
    SELECT execution_id, min(position) AS first, count(*) AS letters
    FROM unrouted, mine GROUP BY execution_id
    HAVING bool_or(kind <> 'start' OR about IS NULL OR about = ANY (workflows))
      OR EXISTS (SELECT FROM {schema}.executions WHERE id = execution_id)
    ORDER BY first LIMIT depth
  ), counted AS (
    SELECT execution_id, first, sum(letters) OVER (ORDER BY first) - letters AS before
    FROM addressed JOIN {schema}.destinations_v1(
      me, (SELECT array_agg(execution_id) FROM addressed)
    ) AS possible ON possible.id = execution_id
  )
  SELECT coalesce(array_agg(execution_id ORDER BY first), '{}') FROM counted WHERE before < at_most
$$;

-- Gives letters to nodes, each with a new position, and in the order in which they were posted.
CREATE FUNCTION {schema}.deliver_v1(
  me bigint, ids text[], targets bigint[], places bigint[], owners bigint[]
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  last bigint;
  moved bigint[];
  receiver bigint;
BEGIN
  SELECT mail INTO last FROM {schema}.log;
  WITH destined AS (
    SELECT position, node FROM unnest(ids, targets) AS addressed (id, node)
    JOIN {schema}.mailbox ON execution_id = addressed.id AND slot IS NULL
    WHERE target IS NULL OR target = ANY ({schema}.dead_v1())
    UNION ALL
    SELECT place, node FROM unnest(places, owners) AS slotted (place, node)
  ), numbered AS (
    SELECT position AS former, node, last + row_number() OVER (ORDER BY position) AS place
    FROM destined
  ), written AS (
    UPDATE {schema}.mailbox SET position = numbered.place, target = numbered.node
    FROM numbered WHERE mailbox.position = numbered.former RETURNING numbered.node
  )
  SELECT array_agg(node) INTO moved FROM written;
  UPDATE {schema}.log SET mail = last + coalesce(cardinality(moved), 0);
  FOR receiver IN SELECT DISTINCT node FROM unnest(moved) AS given (node) WHERE node <> me LOOP
    PERFORM {schema}.tell_v1('mail ' || receiver);
  END LOOP;
  RETURN coalesce(cardinality(moved), 0);
END $$;

-- Routes about so many letters: all that an id has, or none of them.
CREATE FUNCTION {schema}.route_v1(me bigint, at_most integer) RETURNS integer
LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  asked text[];
  ids text[];
  targets bigint[];
  places bigint[];
  owners bigint[];
BEGIN
  PERFORM {schema}.fence_v1(me);
  asked := {schema}.routable_v1(me, at_most, at_most * 4);
  IF cardinality(asked) = 0 THEN  -- what cannot be routed must not hide what can
    asked := {schema}.routable_v1(me, at_most, NULL);
  END IF;
  IF cardinality(asked) = 0 AND NOT EXISTS (
    SELECT FROM {schema}.mailbox WHERE slot IS NOT NULL AND target IS NULL
  ) AND NOT EXISTS (
    SELECT FROM {schema}.mailbox WHERE slot IS NOT NULL AND target = ANY ({schema}.dead_v1())
  ) THEN
    RETURN 0;
  END IF;
  PERFORM FROM {schema}.log FOR UPDATE;
  -- Another node may be adopting an execution, or have done so since its owner was read here.
  WITH aimed AS MATERIALIZED (
    SELECT id, node, takes_over, former FROM {schema}.destinations_v1(me, asked)
  ), free AS (
    SELECT executions.key FROM aimed JOIN {schema}.executions ON key = takes_over
    WHERE owner IS NOT DISTINCT FROM former FOR UPDATE OF executions SKIP LOCKED
  ), taken AS (
    UPDATE {schema}.executions SET owner = me FROM free
    WHERE executions.key = free.key RETURNING executions.key
  )
  SELECT array_agg(id), array_agg(node) INTO ids, targets FROM aimed
  WHERE takes_over IS NULL OR takes_over IN (SELECT key FROM taken);
  SELECT array_agg(position), array_agg(owner) INTO places, owners FROM (
    SELECT position, owner FROM {schema}.mailbox AS act
    JOIN {schema}.slots ON service = act.about AND slots.slot = act.slot
    WHERE act.slot IS NOT NULL AND (target IS NULL OR target = ANY ({schema}.dead_v1()))
      AND {schema}.alive_v1(owner)
    ORDER BY position LIMIT at_most
    FOR UPDATE OF act SKIP LOCKED  -- it is just being deleted by who took it over
  ) AS acts;
  IF ids IS NULL AND places IS NULL THEN
    RETURN 0;
  END IF;
  RETURN {schema}.deliver_v1(me, ids, targets, places, owners);
END $$;
