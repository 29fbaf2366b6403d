-- What nodes do with each other: functions of the server, each called by one statement of its own.
--
-- Each statement inside a function sees what was committed before that statement began (READ
-- COMMITTED), so what is read after a lock was taken is what is true while the lock is held.
-- `stores/postgres_cluster.py` argues why this is safe. A function is never changed: a later one
-- gets a new name, so that older nodes go on beside newer ones.
--
-- Some are planned anew each time: a plan that was made while a table was empty is slow when it has
-- grown, and stays until the server's statistics are taken again.

-- A dead incarnation that owns nothing any more: nobody has to look at it again.
ALTER TABLE {schema}.nodes ADD COLUMN emptied boolean NOT NULL DEFAULT false;

CREATE INDEX nodes_dead ON {schema}.nodes (incarnation)
  WHERE NOT emptied AND (stopped_at IS NOT NULL OR lost_at IS NOT NULL);

CREATE INDEX slots_owner ON {schema}.slots (owner);

-- The server's clock, in microseconds.
CREATE FUNCTION {schema}.now_v1() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- Incarnations that may not commit any more and may still own something.
CREATE FUNCTION {schema}.dead_v1() RETURNS bigint[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(array_agg(incarnation), '{}') FROM {schema}.nodes
  WHERE NOT emptied AND (stopped_at IS NOT NULL OR lost_at IS NOT NULL)
$$;

-- Whether a node has the code of a workflow, in a version or a later one.
CREATE FUNCTION {schema}.hosts_v1(me bigint, workflow text, at_least integer) RETURNS boolean
LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM {schema}.nodes, unnest(workflows, versions) AS hosted (name, version)
    WHERE incarnation = me AND hosted.name = workflow AND hosted.version >= at_least
  )
$$;

-- Whether a lease has been over for a number of its own lengths. It does not run while the server
-- is down: it lasts at least its own length from the moment at which the server started.
CREATE FUNCTION {schema}.overdue_v1(asked bigint, lengths integer) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(
    greatest(
      until, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint + until - seen_at
    ) + lengths * (until - seen_at) < {schema}.now_v1(), true
  )
  FROM (SELECT asked AS incarnation) AS it LEFT JOIN {schema}.leases USING (incarnation)
$$;

-- Tells other processes something, if there are other nodes.
CREATE FUNCTION {schema}.tell_others_v1(me bigint, payload text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM {schema}.nodes
    WHERE incarnation <> me AND stopped_at IS NULL AND lost_at IS NULL
  ) THEN
    PERFORM {schema}.tell_v1(payload);
  END IF;
END $$;

-- Makes an incarnation with a lease of so many microseconds.
CREATE FUNCTION {schema}.enter_v1(lease bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  me bigint;
  now bigint := {schema}.now_v1();
BEGIN
  INSERT INTO {schema}.nodes (
    node, app, host, pid, services, workflows, versions, activities, subscriptions, started_at
  ) VALUES ('', '', '', 0, '{}', '{}', '{}', '{}', '{}', now) RETURNING incarnation INTO me;
  INSERT INTO {schema}.leases (incarnation, seen_at, until) VALUES (me, now, now + lease);
  WITH forgotten AS (
    DELETE FROM {schema}.nodes WHERE incarnation IN (
      SELECT incarnation FROM {schema}.nodes
      WHERE emptied AND coalesce(lost_at, stopped_at) < now - 604800000000
      ORDER BY incarnation LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) RETURNING incarnation
  )
  DELETE FROM {schema}.leases USING forgotten WHERE leases.incarnation = forgotten.incarnation;
  RETURN me;
END $$;

-- Says what a node is and hosts.
CREATE FUNCTION {schema}.announce_v1(
  me bigint, a_node text, an_app text, a_host text, a_pid bigint, some_services text[],
  some_workflows text[], some_versions integer[], some_activities text[],
  some_subscriptions text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM {schema}.fence_v1(me);
  UPDATE {schema}.nodes
  SET node = a_node, app = an_app, host = a_host, pid = a_pid, services = some_services,
    workflows = some_workflows, versions = some_versions, activities = some_activities,
    subscriptions = some_subscriptions
  WHERE incarnation = me;
  PERFORM {schema}.tell_others_v1(me, 'nodes');
END $$;

-- Ends an incarnation by itself, once no commit of it is under way; whether that came soon enough.
CREATE FUNCTION {schema}.leave_v1(me bigint) RETURNS boolean LANGUAGE plpgsql
SET lock_timeout = '500ms' AS $$
BEGIN
  BEGIN
    PERFORM pg_advisory_xact_lock({schema}.lock_class_v1('node'), me::integer);
  EXCEPTION WHEN lock_not_available THEN
    RETURN false;
  END;
  UPDATE {schema}.nodes SET stopped_at = {schema}.now_v1()
  WHERE incarnation = me AND stopped_at IS NULL AND lost_at IS NULL;
  IF FOUND THEN
    UPDATE {schema}.slots SET owner = NULL WHERE owner = me;
    PERFORM {schema}.tell_others_v1(me, 'nodes');
  END IF;
  RETURN true;
END $$;

-- Ends the sessions whose open transactions write for a node.
CREATE FUNCTION {schema}.terminate_v1(dead bigint) RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT pg_terminate_backend(pid) FROM pg_locks
  WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid::bigint = {schema}.lock_class_v1('node')::bigint & 4294967295
    AND objid::bigint = dead
$$;

-- Takes the lock that no commit of a node holds or gets from then on, until the end of this
-- transaction. Holders of it are ended if they must be and it does not come by waiting.
CREATE FUNCTION {schema}.bury_v1(dead bigint, by_force boolean) RETURNS boolean LANGUAGE plpgsql
SET lock_timeout = '500ms' AS $$
DECLARE
  class integer := {schema}.lock_class_v1('node');
BEGIN
  BEGIN
    PERFORM pg_advisory_xact_lock(class, dead::integer);
    RETURN true;
  EXCEPTION WHEN lock_not_available THEN
    IF NOT by_force AND NOT {schema}.overdue_v1(dead, 1) THEN
      RETURN false;
    END IF;
  END;
  BEGIN
    PERFORM {schema}.terminate_v1(dead);
    PERFORM pg_advisory_xact_lock(class, dead::integer);
    RETURN true;
  EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
    RETURN false;
  END;
END $$;

-- Declares an incarnation lost if its lease is over, or anyway; whether it may not commit any more.
CREATE FUNCTION {schema}.declare_lost_v1(dead bigint, anyway boolean) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  IF NOT {schema}.alive_v1(dead) THEN
    RETURN EXISTS (SELECT FROM {schema}.nodes WHERE incarnation = dead);
  END IF;
  IF NOT anyway AND NOT {schema}.overdue_v1(dead, 0) THEN
    RETURN false;
  END IF;
  IF NOT {schema}.bury_v1(dead, anyway) THEN
    IF anyway THEN
      RAISE lock_not_available USING MESSAGE = 'a commit of this node is still under way';
    END IF;
    RETURN false;
  END IF;
  -- From here on nothing is written for it, and its lease is not renewed any more.
  IF NOT anyway AND NOT {schema}.overdue_v1(dead, 0) THEN
    RETURN false;
  END IF;
  UPDATE {schema}.nodes SET lost_at = {schema}.now_v1()
  WHERE incarnation = dead AND stopped_at IS NULL AND lost_at IS NULL;
  PERFORM {schema}.tell_v1('nodes');
  RETURN true;
END $$;

-- Renews the lease when a quarter of it is used, and looks around.
CREATE FUNCTION {schema}.pulse_v1(
  me bigint, lease bigint,
  OUT draining boolean, OUT others integer, OUT mail boolean, OUT unrouted boolean,
  OUT last_position bigint, OUT calls boolean, OUT cancelled boolean, OUT orphans boolean,
  OUT expired bigint[], OUT membership bigint, OUT dead bigint[]
) LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  now bigint := {schema}.now_v1();
  my_services text[];
  my_activities text[];
BEGIN
  PERFORM {schema}.fence_v1(me);
  UPDATE {schema}.leases SET seen_at = now, until = now + lease
  WHERE incarnation = me AND until - now < lease * 3 / 4;
  SELECT nodes.draining, services, activities INTO draining, my_services, my_activities
  FROM {schema}.nodes WHERE incarnation = me;
  dead := {schema}.dead_v1();
  SELECT
    count(*) FILTER (WHERE incarnation <> me),
    coalesce(array_agg(incarnation ORDER BY incarnation) FILTER (
      WHERE incarnation <> me AND {schema}.overdue_v1(incarnation, 0)
    ), '{}'),
    hashtextextended(string_agg(
      concat_ws(' ', incarnation, nodes.draining, services, activities, workflows, versions,
        subscriptions),
      ';' ORDER BY incarnation
    ), 0)
  INTO others, expired, membership
  FROM {schema}.nodes WHERE stopped_at IS NULL AND lost_at IS NULL;
  SELECT
    membership # coalesce((
      SELECT bit_xor(hashtextextended(service || ' ' || slot, owner)) FROM {schema}.slots
      WHERE service = ANY (my_services) AND owner IS NOT NULL AND owner <> ALL (dead)
    ), 0) # coalesce((
      SELECT bit_xor(hashtextextended(number::text, 0)) FROM {schema}.subscriptions
    ), 0),
    EXISTS (SELECT FROM {schema}.mailbox WHERE target = me),
    EXISTS (SELECT FROM {schema}.mailbox WHERE target IS NULL)
      OR cardinality(dead) > 0
      AND EXISTS (SELECT FROM {schema}.mailbox WHERE target = ANY (dead)),
    (SELECT position FROM {schema}.log),
    EXISTS (
      SELECT FROM unnest(my_activities) AS hosted (name)
      WHERE EXISTS (
        SELECT FROM {schema}.calls WHERE activity = hosted.name AND claimed_by IS NULL
      )
    ),
    EXISTS (
      SELECT FROM {schema}.calls
      WHERE claimed_by = me AND NOT ended AND calls.cancelled
    ),
    cardinality(dead) > 0 AND (
      EXISTS (
        SELECT FROM {schema}.executions
        WHERE owner = ANY (dead) AND status IN ('running', 'compensating', 'incident')
      )
      OR EXISTS (SELECT FROM {schema}.calls WHERE claimed_by = ANY (dead) AND NOT ended)
    )
  INTO membership, mail, unrouted, last_position, calls, cancelled, orphans;
END $$;

-- Becomes the owner of live executions of dead incarnations, those first that need a node first. The
-- index has them in that order: nothing is sorted, however little the statistics say of the owner.
CREATE FUNCTION {schema}.adopt_v1(
  me bigint, at_most integer, OUT taken integer, OUT first_wake_at bigint
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
  former bigint;
  got integer;
  wake bigint;
BEGIN
  PERFORM {schema}.fence_v1(me);
  taken := 0;
  FOREACH former IN ARRAY {schema}.dead_v1() LOOP
    WITH hosted AS MATERIALIZED (
      SELECT name, max(version) AS version
      FROM {schema}.nodes, unnest(workflows, versions) AS announced (name, version)
      WHERE incarnation = me GROUP BY name
    ), found AS (
      SELECT key FROM {schema}.executions
      WHERE owner = former AND status IN ('running', 'compensating', 'incident')
        AND version <= (SELECT version FROM hosted WHERE hosted.name = executions.name)
      ORDER BY wake_at, key LIMIT at_most - taken FOR UPDATE SKIP LOCKED
    ), adopted AS (
      UPDATE {schema}.executions SET owner = me FROM found WHERE executions.key = found.key
      RETURNING wake_at
    )
    SELECT count(*), min(wake_at) INTO got, wake FROM adopted;
    taken := taken + got;
    first_wake_at := least(first_wake_at, wake);
    EXIT WHEN taken >= at_most;
  END LOOP;
END $$;

-- Takes over calls that dead incarnations had claimed and not ended.
CREATE FUNCTION {schema}.adopt_claims_v1(me bigint, at_most integer)
RETURNS SETOF {schema}.calls LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  PERFORM {schema}.fence_v1(me);
  RETURN QUERY
  WITH found AS (
    SELECT execution_key, step, attempt FROM {schema}.calls
    WHERE claimed_by = ANY ({schema}.dead_v1()) AND NOT ended
    ORDER BY claimed_by, number LIMIT at_most FOR UPDATE SKIP LOCKED
  )
  UPDATE {schema}.calls SET claimed_by = me FROM found
  WHERE (calls.execution_key, calls.step, calls.attempt)
    = (found.execution_key, found.step, found.attempt)
  RETURNING calls.*;
END $$;

-- Remembers the dead incarnations that own nothing any more, and gives back what is nobody's: their
-- slots and their letters. Whoever posts a letter looks who is alive under the lock on the log, so
-- that no letter to a dead incarnation is written after that lock was taken here.
CREATE FUNCTION {schema}.settle_v1(me bigint) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  former bigint;
  settled integer := 0;
BEGIN
  PERFORM {schema}.fence_v1(me);
  FOREACH former IN ARRAY {schema}.dead_v1() LOOP
    CONTINUE WHEN EXISTS (
      SELECT FROM {schema}.executions
      WHERE owner = former AND status IN ('running', 'compensating', 'incident')
    ) OR EXISTS (SELECT FROM {schema}.calls WHERE claimed_by = former AND NOT ended);
    PERFORM FROM {schema}.log FOR UPDATE;
    UPDATE {schema}.mailbox SET target = NULL WHERE target = former;
    UPDATE {schema}.slots SET owner = NULL WHERE owner = former;
    DELETE FROM {schema}.progress WHERE incarnation = former;
    UPDATE {schema}.nodes SET emptied = true WHERE incarnation = former;
    settled := settled + 1;
  END LOOP;
  RETURN settled;
END $$;

-- Asks a node to hand over and stop.
CREATE FUNCTION {schema}.drain_v1(asked bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE {schema}.nodes SET draining = true
  WHERE incarnation = asked AND stopped_at IS NULL AND lost_at IS NULL;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM {schema}.tell_v1('nodes');
  RETURN true;
END $$;
