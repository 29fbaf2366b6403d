-- What nodes and clients write, as functions of the server: a commit is one statement, and so one
-- round trip. A function is never replaced but added under a new name, so that older nodes go on.

-- The class of one kind of advisory locks of this schema: the first half of their keys.
CREATE FUNCTION {schema}.lock_class_v1(kind text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtext('counterpoint ' || kind || ' {schema}')
$$;

-- Tells those who listen; they hear it when the transaction has committed.
CREATE FUNCTION {schema}.tell_v1(payload text) RETURNS void LANGUAGE sql AS $$
  SELECT pg_notify('counterpoint {schema}', payload)
$$;

-- Raises CP001 unless the incarnation may commit, and lets nobody declare it lost until the
-- transaction is over. The second statement has a snapshot of its own, taken after the lock: what
-- was declared before the lock was had is seen.
CREATE FUNCTION {schema}.fence_v1(me bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared({schema}.lock_class_v1('node'), me::integer);
  PERFORM 1 FROM {schema}.nodes
  WHERE incarnation = me AND stopped_at IS NULL AND lost_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'node % may not commit any more', me USING ERRCODE = 'CP001';
  END IF;
END
$$;

-- Whether an incarnation may commit.
CREATE FUNCTION {schema}.alive_v1(me bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT 1 FROM {schema}.nodes
    WHERE incarnation = me AND stopped_at IS NULL AND lost_at IS NULL
  )
$$;

-- What is seldom part of a commit, as JSON: arrays of rows, whose bytes are in base64.
CREATE FUNCTION {schema}.write_rest_v1(rest jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  rows jsonb;
BEGIN
  rows := rest -> 'attributes';
  IF rows IS NOT NULL THEN
    INSERT INTO {schema}.attributes (execution_key, name, value)
    SELECT (r ->> 0)::bigint, r ->> 1, r ->> 2 FROM jsonb_array_elements(rows) AS r
    ON CONFLICT (execution_key, name) DO UPDATE SET value = excluded.value;
  END IF;
  rows := rest -> 'attributes_dropped';
  IF rows IS NOT NULL THEN
    DELETE FROM {schema}.attributes AS a USING jsonb_array_elements(rows) AS r
    WHERE a.execution_key = (r ->> 0)::bigint AND a.name = r ->> 1;
  END IF;
  rows := rest -> 'waits';
  IF rows IS NOT NULL THEN
    INSERT INTO {schema}.event_waits (
      execution_key, wait, execution_id, type, event_key, position, since
    )
    SELECT
      (r ->> 0)::bigint, (r ->> 1)::integer, r ->> 2, r ->> 3, r ->> 4, (r ->> 5)::bigint,
      (r ->> 6)::bigint
    FROM jsonb_array_elements(rows) AS r
    ON CONFLICT (execution_key, wait) DO UPDATE
    SET execution_id = excluded.execution_id, type = excluded.type,
      event_key = excluded.event_key, position = excluded.position, since = excluded.since;
  END IF;
  rows := rest -> 'waits_over';
  IF rows IS NOT NULL THEN
    DELETE FROM {schema}.event_waits AS w USING jsonb_array_elements(rows) AS r
    WHERE w.execution_key = (r ->> 0)::bigint AND w.wait = (r ->> 1)::integer;
  END IF;
  rows := rest -> 'contracts';
  IF rows IS NOT NULL THEN
    INSERT INTO {schema}.contracts (type, version, service, key_field, schema, published_at)
    SELECT r ->> 0, (r ->> 1)::integer, r ->> 2, r ->> 3, r ->> 4, (r ->> 5)::bigint
    FROM jsonb_array_elements(rows) AS r
    ON CONFLICT (type, version) DO NOTHING;
  END IF;
  rows := rest -> 'acts';
  IF rows IS NOT NULL THEN
    INSERT INTO {schema}.acts (at, kind, subject, run, request_id, actor, reason, codec, detail)
    SELECT
      (r ->> 0)::bigint, r ->> 1, r ->> 2, (r ->> 3)::integer, r ->> 4, r ->> 5, r ->> 6, r ->> 7,
      decode(r ->> 8, 'base64')
    FROM jsonb_array_elements(rows) WITH ORDINALITY AS a (r, place) ORDER BY place
    ON CONFLICT (request_id) DO NOTHING;
  END IF;
END
$$;

-- What is no success; what is over makes room for what takes its place.
CREATE FUNCTION {schema}.write_failures_v1(rest jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  rows jsonb;
BEGIN
  rows := rest -> 'changed';
  IF rows IS NOT NULL THEN
    INSERT INTO {schema}.reactions (
      subscription, position, status, created_at, finished_at, key, attempts, due_at
    )
    SELECT
      (r ->> 0)::bigint, (r ->> 1)::bigint, r ->> 2, (r ->> 3)::bigint, (r ->> 4)::bigint,
      (r ->> 5)::bigint, (r ->> 6)::integer, (r ->> 7)::bigint
    FROM jsonb_array_elements(rows) AS r
    ON CONFLICT (position, subscription) DO UPDATE
    SET status = excluded.status, created_at = excluded.created_at,
      finished_at = excluded.finished_at, key = excluded.key, attempts = excluded.attempts,
      due_at = excluded.due_at;
  END IF;
  rows := rest -> 'revived';
  IF rows IS NOT NULL THEN
    DELETE FROM {schema}.dead_letters AS d USING jsonb_array_elements(rows) AS r
    WHERE d.subscription = (r ->> 0)::bigint AND d.position = (r ->> 1)::bigint;
  END IF;
  rows := rest -> 'dead';
  IF rows IS NOT NULL THEN
    INSERT INTO {schema}.dead_letters (
      subscription, position, service, lane, name, type, event_key, correlation_id, attempts,
      died_at, cause, codec, error
    )
    SELECT
      (r ->> 0)::bigint, (r ->> 1)::bigint, r ->> 2, r ->> 3, r ->> 4, r ->> 5, r ->> 6, r ->> 7,
      (r ->> 8)::integer, (r ->> 9)::bigint, r ->> 10, r ->> 11, decode(r ->> 12, 'base64')
    FROM jsonb_array_elements(rows) AS r
    ON CONFLICT (subscription, position) DO UPDATE
    SET service = excluded.service, lane = excluded.lane, name = excluded.name,
      type = excluded.type, event_key = excluded.event_key,
      correlation_id = excluded.correlation_id, attempts = excluded.attempts,
      died_at = excluded.died_at, cause = excluded.cause, codec = excluded.codec,
      error = excluded.error;
  END IF;
  rows := rest -> 'released';
  IF rows IS NOT NULL THEN
    DELETE FROM {schema}.holds AS h USING jsonb_array_elements(rows) AS r
    WHERE h.service = r ->> 0 AND h.lane = r ->> 1 AND h.event_key = r ->> 2;
  END IF;
  rows := rest -> 'held';
  IF rows IS NOT NULL THEN
    INSERT INTO {schema}.holds (service, lane, event_key, position)
    SELECT r ->> 0, r ->> 1, r ->> 2, (r ->> 3)::bigint FROM jsonb_array_elements(rows) AS r
    ON CONFLICT (service, lane, event_key) DO UPDATE
    SET position = least(holds.position, excluded.position);
  END IF;
END
$$;

-- Subscriptions; those that end do so after everything that may be about them was written.
CREATE FUNCTION {schema}.write_subscriptions_v1(rest jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  rows jsonb;
  gone bigint[];
BEGIN
  rows := rest -> 'redeclared';
  IF rows IS NOT NULL THEN
    UPDATE {schema}.subscriptions AS s SET service = r ->> 1, lane = r ->> 2, type = r ->> 3
    FROM jsonb_array_elements(rows) AS r WHERE s.number = (r ->> 0)::bigint;
    UPDATE {schema}.dead_letters AS d SET service = r ->> 1, lane = r ->> 2
    FROM jsonb_array_elements(rows) AS r WHERE d.subscription = (r ->> 0)::bigint;
  END IF;
  rows := rest -> 'unsubscribed';
  IF rows IS NOT NULL THEN
    SELECT array_agg(r::bigint) INTO gone FROM jsonb_array_elements_text(rows) AS r;
    DELETE FROM {schema}.journal WHERE execution_key IN (
      SELECT key FROM {schema}.reactions WHERE key IS NOT NULL AND subscription = ANY (gone)
    );
    DELETE FROM {schema}.reactions WHERE subscription = ANY (gone);
    DELETE FROM {schema}.dead_letters WHERE subscription = ANY (gone);
    DELETE FROM {schema}.progress WHERE subscription = ANY (gone);
    DELETE FROM {schema}.subscriptions WHERE number = ANY (gone);
  END IF;
  rows := rest -> 'subscriptions';
  IF rows IS NOT NULL THEN
    INSERT INTO {schema}.subscriptions (
      number, service, name, type, lane, replay, position, created_at, until, publishes, event_key,
      first
    )
    SELECT
      (r ->> 0)::bigint, r ->> 1, r ->> 2, r ->> 3, r ->> 4, (r ->> 5)::bigint, (r ->> 6)::bigint,
      (r ->> 7)::bigint, (r ->> 8)::bigint, (r ->> 9)::boolean, r ->> 10, (r ->> 11)::bigint
    FROM jsonb_array_elements(rows) AS r
    ON CONFLICT (name, replay) DO NOTHING;
  END IF;
  rows := rest -> 'positions';
  IF rows IS NOT NULL THEN
    UPDATE {schema}.subscriptions AS s SET position = (r ->> 1)::bigint
    FROM jsonb_array_elements(rows) AS r
    WHERE s.number = (r ->> 0)::bigint AND s.position < (r ->> 1)::bigint;
  END IF;
END
$$;

-- Calls between nodes; true if another node may want to know.
CREATE FUNCTION {schema}.write_calls_v1(rest jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  rows jsonb;
  told boolean := false;
BEGIN
  rows := rest -> 'calls_over';
  IF rows IS NOT NULL THEN
    DELETE FROM {schema}.calls AS c USING jsonb_array_elements(rows) AS r
    WHERE c.execution_key = (r ->> 0)::bigint AND c.step = (r ->> 1)::integer
      AND c.attempt = (r ->> 2)::integer;
  END IF;
  rows := rest -> 'calls_offered';
  IF rows IS NOT NULL THEN
    INSERT INTO {schema}.calls (
      execution_key, step, attempt, execution_id, workflow, service, activity, offered_at, codec,
      body
    )
    SELECT
      (r ->> 0)::bigint, (r ->> 1)::integer, (r ->> 2)::integer, r ->> 3, r ->> 4, r ->> 5,
      r ->> 6, (r ->> 7)::bigint, r ->> 8, decode(r ->> 9, 'base64')
    FROM jsonb_array_elements(rows) WITH ORDINALITY AS a (r, place) ORDER BY place
    ON CONFLICT (execution_key, step, attempt) DO NOTHING;
    told := true;
  END IF;
  rows := rest -> 'calls_cancelled';
  IF rows IS NOT NULL THEN
    -- A row that is being claimed at this moment is waited for, and looked at again then.
    UPDATE {schema}.calls AS c SET cancelled = true FROM jsonb_array_elements(rows) AS r
    WHERE c.execution_key = (r ->> 0)::bigint AND c.step = (r ->> 1)::integer
      AND c.attempt = (r ->> 2)::integer;
    DELETE FROM {schema}.calls AS c USING jsonb_array_elements(rows) AS r
    WHERE c.execution_key = (r ->> 0)::bigint AND c.step = (r ->> 1)::integer
      AND c.attempt = (r ->> 2)::integer AND c.claimed_by IS NULL;
    told := true;
  END IF;
  rows := rest -> 'calls_ended';
  IF rows IS NOT NULL THEN
    UPDATE {schema}.calls AS c SET ended = true FROM jsonb_array_elements(rows) AS r
    WHERE c.execution_key = (r ->> 0)::bigint AND c.step = (r ->> 1)::integer
      AND c.attempt = (r ->> 2)::integer;
  END IF;
  RETURN told;
END
$$;

-- Posts letters with positions from the one after `before` on, while the row of `log` is held. A
-- letter is there before its successor is looked at, so that letters to one execution keep their
-- order. What has to be routed is told to everybody, the others' letters to those who are there.
CREATE FUNCTION {schema}.post_v1(
  me bigint, others boolean, before bigint, m_request_id text[], m_kind text[],
  m_execution_id text[], m_at bigint[], m_codec text[], m_body bytea[], m_about text[],
  m_slot integer[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  goes_to bigint;
  told bigint[] := '{}';
BEGIN
  FOR i IN 1 .. cardinality(m_request_id) LOOP
    goes_to := {schema}.target_v1(m_execution_id[i], m_kind[i], m_about[i], m_slot[i], me);
    INSERT INTO {schema}.mailbox (
      position, request_id, kind, execution_id, at, codec, body, about, slot, target
    )
    VALUES (
      before + i, m_request_id[i], m_kind[i], m_execution_id[i], m_at[i], m_codec[i], m_body[i],
      m_about[i], m_slot[i], goes_to
    )
    ON CONFLICT (request_id) DO NOTHING;
    goes_to := coalesce(goes_to, 0);
    IF FOUND AND (goes_to = 0 OR (others AND goes_to <> me)) AND goes_to <> ALL (told) THEN
      told := told || goes_to;
      PERFORM {schema}.tell_v1('mail ' || goes_to);
    END IF;
  END LOOP;
END
$$;

-- A commit: everything or nothing, in one transaction. Returns the position of its first event.
-- `me` is the incarnation that writes, 0 for a client; `others` says whether anybody else has to
-- hear of it, for notifications make commits wait for each other. Arrays are columns of rows; a part
-- without rows is null. Events and letters come last: from the update of `log` on nobody else gets
-- positions until this transaction is over. Plans are made once, while tables are small, and kept while
-- they grow, so that they have to use indexes from the beginning: hence settings, for the call alone.
CREATE FUNCTION {schema}.commit_v1(
  me bigint, others boolean,
  s_key bigint[], s_id text[], s_run integer[], s_kind text[], s_service text[], s_name text[],
  s_version integer[], s_status text[], s_fingerprint bytea[], s_created_at bigint[],
  s_wake_at bigint[], s_finished_at bigint[], s_deadline_at bigint[], s_parent_key bigint[],
  s_root_key bigint[], s_correlation_id text[], s_causation_id text[], s_traceparent text[],
  j_key bigint[], j_seq integer[], j_count integer[], j_codec text[], j_body bytea[],
  j_digest bigint[],
  u_key bigint[], u_status text[], u_version integer[], u_wake_at bigint[], u_finished_at bigint[],
  taken bigint[],
  d_subscription bigint[], d_position bigint[], d_status text[], d_created_at bigint[],
  d_finished_at bigint[], d_key bigint[], d_attempts integer[], d_due_at bigint[],
  e_source text[], e_id text[], e_type text[], e_version integer[], e_key text[], e_slot integer[],
  e_correlation_id text[], e_causation_id text[], e_publisher text[], e_hops integer[],
  e_traceparent text[], e_time bigint[], e_recorded_at bigint[], e_codec text[], e_data bytea[],
  m_request_id text[], m_kind text[], m_execution_id text[], m_at bigint[], m_codec text[],
  m_body bytea[], m_about text[], m_slot integer[],
  rest jsonb
) RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
  new_events bigint;
  new_letters bigint;
  first_event bigint := 0;
  first_letter bigint;
BEGIN
  IF me <> 0 THEN
    PERFORM {schema}.fence_v1(me);
  END IF;
  IF s_key IS NOT NULL THEN
    INSERT INTO {schema}.executions (
      key, id, run, kind, service, name, version, status, fingerprint, created_at, wake_at,
      finished_at, deadline_at, parent_key, root_key, correlation_id, causation_id, traceparent,
      owner
    )
    SELECT s.*, me FROM unnest(
      s_key, s_id, s_run, s_kind, s_service, s_name, s_version, s_status, s_fingerprint,
      s_created_at, s_wake_at, s_finished_at, s_deadline_at, s_parent_key, s_root_key,
      s_correlation_id, s_causation_id, s_traceparent
    ) AS s;
  END IF;
  IF j_key IS NOT NULL THEN
    INSERT INTO {schema}.journal (execution_key, first_seq, count, codec, body, digest)
    SELECT * FROM unnest(j_key, j_seq, j_count, j_codec, j_body, j_digest);
  END IF;
  IF u_key IS NOT NULL THEN
    UPDATE {schema}.executions AS x
    SET status = u.status, version = u.version, wake_at = u.wake_at, finished_at = u.finished_at,
      owner = CASE WHEN x.finished_at IS NULL THEN x.owner ELSE me END
    FROM unnest(u_key, u_status, u_version, u_wake_at, u_finished_at)
      AS u (key, status, version, wake_at, finished_at)
    WHERE x.key = u.key;
  END IF;
  IF d_position IS NOT NULL THEN
    INSERT INTO {schema}.reactions (
      subscription, position, status, created_at, finished_at, key, attempts, due_at
    )
    SELECT * FROM unnest(
      d_subscription, d_position, d_status, d_created_at, d_finished_at, d_key, d_attempts, d_due_at
    );
  END IF;
  IF taken IS NOT NULL THEN
    DELETE FROM {schema}.mailbox WHERE position = ANY (taken);
  END IF;
  IF rest IS NOT NULL THEN
    PERFORM {schema}.write_rest_v1(rest);
    PERFORM {schema}.write_failures_v1(rest);
    PERFORM {schema}.write_subscriptions_v1(rest);
    IF {schema}.write_calls_v1(rest) AND others THEN
      PERFORM {schema}.tell_v1('calls');
    END IF;
    IF others AND (rest ? 'subscriptions' OR rest ? 'unsubscribed') THEN
      PERFORM {schema}.tell_v1('nodes');
    END IF;
  END IF;
  new_events := coalesce(cardinality(e_id), 0);
  new_letters := coalesce(cardinality(m_request_id), 0);
  IF new_events > 0 OR new_letters > 0 THEN
    UPDATE {schema}.log AS l SET position = l.position + new_events, mail = l.mail + new_letters
    WHERE l.one RETURNING l.position - new_events + 1, l.mail - new_letters INTO first_event, first_letter;
  END IF;
  IF new_letters > 0 THEN
    PERFORM {schema}.post_v1(
      me, others, first_letter, m_request_id, m_kind, m_execution_id, m_at, m_codec, m_body,
      m_about, m_slot
    );
  END IF;
  IF new_events > 0 THEN
    INSERT INTO {schema}.events (
      position, source, id, type, version, key, slot, correlation_id, causation_id, publisher,
      hops, traceparent, time, recorded_at, codec, data
    )
    SELECT
      first_event - 1 + e.place, e.source, e.id, e.type, e.version, e.key, e.slot,
      e.correlation_id, e.causation_id, e.publisher, e.hops, e.traceparent, e.time, e.recorded_at,
      e.codec, e.data
    FROM unnest(
      e_source, e_id, e_type, e_version, e_key, e_slot, e_correlation_id, e_causation_id,
      e_publisher, e_hops, e_traceparent, e_time, e_recorded_at, e_codec, e_data
    ) WITH ORDINALITY
      AS e (
        source, id, type, version, key, slot, correlation_id, causation_id, publisher, hops,
        traceparent, time, recorded_at, codec, data, place
      );
    IF others THEN
      PERFORM {schema}.tell_v1('events');
    END IF;
    RETURN first_event;
  END IF;
  RETURN 0;
END
$$;

-- Deletes executions that finished before a time and whose root is not live, oldest first; says how
-- many. Two nodes that forget at once do not wait for each other.
CREATE FUNCTION {schema}.forget_v1(me bigint, before bigint, most integer)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  keys bigint[];
BEGIN
  PERFORM {schema}.fence_v1(me);
  SELECT array_agg(old.key) INTO keys FROM (
    SELECT key FROM {schema}.executions AS x
    WHERE finished_at IS NOT NULL AND finished_at < before
      AND NOT EXISTS (
        SELECT 1 FROM {schema}.executions AS root
        WHERE root.key = x.root_key AND root.finished_at IS NULL
      )
    ORDER BY finished_at LIMIT most FOR UPDATE SKIP LOCKED
  ) AS old;
  DELETE FROM {schema}.journal WHERE execution_key = ANY (keys);
  DELETE FROM {schema}.attributes WHERE execution_key = ANY (keys);
  DELETE FROM {schema}.event_waits WHERE execution_key = ANY (keys);
  DELETE FROM {schema}.executions WHERE key = ANY (keys);
  RETURN coalesce(cardinality(keys), 0);
END
$$;

-- Deletes events that were recorded before a time and that nobody needs any more; says how many.
CREATE FUNCTION {schema}.forget_events_v1(me bigint, before bigint, most integer)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  positions bigint[];
BEGIN
  PERFORM {schema}.fence_v1(me);
  SELECT array_agg(old.position) INTO positions FROM (
    SELECT position FROM {schema}.events AS e
    WHERE recorded_at < before
      AND position <= coalesce((SELECT min(s.position) FROM {schema}.subscriptions AS s), position)
      AND NOT EXISTS (SELECT 1 FROM {schema}.dead_letters AS d WHERE d.position = e.position)
      AND NOT EXISTS (
        SELECT 1 FROM {schema}.holds AS h
        WHERE h.event_key = e.key AND h.position <= e.position
      )
    ORDER BY recorded_at, position LIMIT most FOR UPDATE SKIP LOCKED
  ) AS old;
  DELETE FROM {schema}.journal WHERE execution_key IN (
    SELECT key FROM {schema}.reactions WHERE key IS NOT NULL AND position = ANY (positions)
  );
  DELETE FROM {schema}.reactions WHERE position = ANY (positions);
  DELETE FROM {schema}.events WHERE position = ANY (positions);
  RETURN coalesce(cardinality(positions), 0);
END
$$;

-- Deletes what is known of the published versions of a type; says how many there were.
CREATE FUNCTION {schema}.forget_contract_v1(me bigint, forgotten text)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  count integer;
BEGIN
  PERFORM {schema}.fence_v1(me);
  DELETE FROM {schema}.contracts WHERE type = forgotten;
  GET DIAGNOSTICS count = ROW_COUNT;
  RETURN count;
END
$$;
