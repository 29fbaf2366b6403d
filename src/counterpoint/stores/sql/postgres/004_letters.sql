-- Who has to take a letter over.
--
-- Letters to one id stay in order because of two rules. At any time the letters to one id that have
-- a living target have one and the same, and they are older than those that have none: a new letter
-- stays without a target while an older one is without, or lies at another node (`target_v1`).
-- Letters without a target are routed together, all that one id has (`route_v1`). Both are called
-- under the lock on the log, from which positions come.
--
-- Acts on dead letters (those with a slot) go by their slot and are ordered by nothing else.

-- The target of a new letter that a node, or a client (0), posts; null: it has to be routed.
CREATE FUNCTION {schema}.target_v1(
  letter_to text, letter_kind text, letter_about text, letter_slot integer, me bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  here bigint;
  wanted bigint;
BEGIN
  IF letter_slot IS NOT NULL THEN
    SELECT owner INTO wanted FROM {schema}.slots
    WHERE service = letter_about AND slot = letter_slot AND {schema}.alive_v1(owner);
    RETURN wanted;
  END IF;
  IF EXISTS (
    SELECT FROM {schema}.mailbox
    WHERE execution_id = letter_to AND target IS NULL AND slot IS NULL
  ) THEN
    RETURN NULL;
  END IF;
  SELECT target INTO here FROM {schema}.mailbox
  WHERE execution_id = letter_to AND target IS NOT NULL AND slot IS NULL LIMIT 1;
  IF here IS NOT NULL AND NOT {schema}.alive_v1(here) THEN
    RETURN NULL;
  END IF;
  SELECT owner INTO wanted FROM {schema}.executions
  WHERE id = letter_to ORDER BY run DESC LIMIT 1;
  IF FOUND THEN
    wanted := CASE WHEN {schema}.alive_v1(wanted) THEN wanted END;
  ELSIF here IS NOT NULL THEN
    wanted := here;
  ELSIF letter_kind = 'start' THEN
    wanted := CASE WHEN {schema}.hosts_v1(me, letter_about, 0) THEN me END;
  ELSE
    wanted := nullif(me, 0);
  END IF;
  RETURN CASE WHEN here IS NULL OR here = wanted THEN wanted END;
END $$;

-- The node that has to take over the unrouted letters to an id, if this one can tell; and the key
-- of the execution that it has to take over before, with that one's dead owner.
CREATE FUNCTION {schema}.destination_v1(
  letters_to text, me bigint, OUT node bigint, OUT takes_over bigint, OUT former bigint
) LANGUAGE plpgsql AS $$
DECLARE
  here bigint;
  newest record;
  begins record;
BEGIN
  SELECT target INTO here FROM {schema}.mailbox
  WHERE execution_id = letters_to AND slot IS NULL AND {schema}.alive_v1(target) LIMIT 1;
  SELECT key, owner, name,
    CASE WHEN status IN ('running', 'compensating', 'incident') THEN version ELSE 0 END AS version
  INTO newest FROM {schema}.executions WHERE id = letters_to ORDER BY run DESC LIMIT 1;
  IF FOUND THEN
    IF {schema}.alive_v1(newest.owner) THEN
      node := newest.owner;
    ELSIF {schema}.hosts_v1(me, newest.name, newest.version) THEN
      node := me;
      takes_over := newest.key;
      former := newest.owner;
    END IF;
  ELSIF here IS NOT NULL THEN
    node := here;
  ELSE
    SELECT about INTO begins FROM {schema}.mailbox
    WHERE execution_id = letters_to AND slot IS NULL AND kind = 'start'
    ORDER BY position LIMIT 1;
    IF NOT FOUND OR begins.about IS NULL OR {schema}.hosts_v1(me, begins.about, 0) THEN
      node := me;
    END IF;
  END IF;
  IF here <> node THEN
    node := NULL;  -- what lies there already has to be taken over first
    takes_over := NULL;
  END IF;
END $$;

-- The ids to which letters without a living target may have one now: those with the oldest letters,
-- until they have so many letters. It needs no lock: who is asked again under one may say no.
CREATE FUNCTION {schema}.routable_v1(me bigint, at_most integer) RETURNS text[]
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
    ORDER BY first
  ), possible AS MATERIALIZED (
    SELECT execution_id, first, letters FROM addressed
    WHERE ({schema}.destination_v1(execution_id, me)).node IS NOT NULL
    LIMIT at_most
  ), counted AS (
    SELECT execution_id, first, sum(letters) OVER (ORDER BY first) - letters AS before
    FROM possible
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
LANGUAGE plpgsql AS $$
DECLARE
  asked text[];
  letters_to text;
  way record;
  ids text[] := '{}';
  targets bigint[] := '{}';
  places bigint[];
  owners bigint[];
BEGIN
  PERFORM {schema}.fence_v1(me);
  asked := {schema}.routable_v1(me, at_most);
  IF cardinality(asked) = 0 AND NOT EXISTS (
    SELECT FROM {schema}.mailbox WHERE slot IS NOT NULL AND target IS NULL
  ) AND NOT EXISTS (
    SELECT FROM {schema}.mailbox WHERE slot IS NOT NULL AND target = ANY ({schema}.dead_v1())
  ) THEN
    RETURN 0;
  END IF;
  PERFORM FROM {schema}.log FOR UPDATE;
  FOREACH letters_to IN ARRAY asked LOOP
    SELECT node, takes_over, former INTO way FROM {schema}.destination_v1(letters_to, me);
    CONTINUE WHEN way.node IS NULL;
    IF way.takes_over IS NOT NULL THEN
      -- Another node may be adopting it, or have done so since its owner was read.
      UPDATE {schema}.executions SET owner = me WHERE key = (
        SELECT key FROM {schema}.executions
        WHERE key = way.takes_over AND owner IS NOT DISTINCT FROM way.former
        FOR UPDATE SKIP LOCKED
      );
      CONTINUE WHEN NOT FOUND;
    END IF;
    ids := ids || letters_to;
    targets := targets || way.node;
  END LOOP;
  SELECT array_agg(position), array_agg(owner) INTO places, owners FROM (
    SELECT position, owner FROM {schema}.mailbox AS act
    JOIN {schema}.slots ON service = act.about AND slots.slot = act.slot
    WHERE act.slot IS NOT NULL AND (target IS NULL OR target = ANY ({schema}.dead_v1()))
      AND {schema}.alive_v1(owner)
    ORDER BY position LIMIT at_most
  ) AS acts;
  IF cardinality(ids) = 0 AND places IS NULL THEN
    RETURN 0;
  END IF;
  RETURN {schema}.deliver_v1(me, ids, targets, places, owners);
END $$;
