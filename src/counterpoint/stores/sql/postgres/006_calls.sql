-- Claims of calls: fair between workflows, and within limits that hold over all nodes.

-- The workflows that have unclaimed calls of an activity, one index entry read for each.
CREATE FUNCTION {schema}.callers_v1(of_activity text) RETURNS SETOF text
LANGUAGE sql STABLE ROWS 10 AS $$
  WITH RECURSIVE caller (name) AS (
    SELECT min(workflow) FROM {schema}.calls
    WHERE activity = of_activity AND claimed_by IS NULL
    UNION ALL
    SELECT (
      SELECT min(workflow) FROM {schema}.calls
      WHERE activity = of_activity AND claimed_by IS NULL AND workflow > caller.name
    ) FROM caller WHERE caller.name IS NOT NULL
  )
  SELECT name FROM caller WHERE name IS NOT NULL
$$;

-- How many more calls each limit allows now.
CREATE FUNCTION {schema}.rooms_v1(
  names text[], concurrencies integer[], rates double precision[], bursts integer[]
) RETURNS TABLE (limited text, room bigint) LANGUAGE sql VOLATILE AS $$
  WITH running AS MATERIALIZED (
    SELECT service, activity, count(*) AS calls FROM {schema}.calls
    WHERE claimed_by IS NOT NULL AND NOT ended GROUP BY service, activity
  )
  SELECT asked.name, least(
    asked.concurrency - coalesce((
      SELECT sum(calls) FROM running
      WHERE running.service = asked.name OR running.activity = asked.name
    ), 0),
    CASE WHEN asked.rate IS NOT NULL THEN coalesce((
      SELECT floor(least(
        asked.burst, tokens + greatest(0, {schema}.now_v1() - filled_at) / 1e6 * asked.rate
      ) + 1e-9) FROM {schema}.rates WHERE rates.name = asked.name
    ), asked.burst) END
  )::bigint
  FROM unnest(names, concurrencies, rates, bursts) AS asked (name, concurrency, rate, burst)
  WHERE asked.concurrency IS NOT NULL OR asked.rate IS NOT NULL
$$;

-- Takes from the buckets what was claimed.
CREATE FUNCTION {schema}.spend_v1(
  names text[], rates double precision[], bursts integer[], spent bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  now bigint := {schema}.now_v1();
BEGIN
  INSERT INTO {schema}.rates AS bucket (name, tokens, filled_at)
  SELECT asked.name, asked.burst - asked.used, now
  FROM unnest(names, rates, bursts, spent) AS asked (name, rate, burst, used)
  WHERE asked.rate IS NOT NULL AND asked.used > 0
  ON CONFLICT (name) DO UPDATE SET
    tokens = (
      SELECT least(
        asked.burst, bucket.tokens + greatest(0, now - bucket.filled_at) / 1e6 * asked.rate
      ) - asked.used
      FROM unnest(names, rates, bursts, spent) AS asked (name, rate, burst, used)
      WHERE asked.name = excluded.name
    ),
    filled_at = now;
END $$;

-- Unclaimed calls of activities in the order in which they may be claimed: of each workflow in turn
-- the oldest, as far as limits have room. More are found than wanted, so that nodes that claim at
-- once find others behind those that one of them holds.
CREATE FUNCTION {schema}.claimable_v1(
  wanted text[], limited text[], rooms bigint[], at_most integer
) RETURNS TABLE (execution_key bigint, step integer, attempt integer, turn bigint, number bigint)
LANGUAGE sql VOLATILE ROWS 50 AS $$
  WITH bound AS MATERIALIZED (
    SELECT name, room FROM unnest(limited, rooms) AS bound (name, room)
  ), queued AS MATERIALIZED (
    SELECT oldest.* FROM (SELECT DISTINCT unnest(wanted)) AS asked (activity)
    CROSS JOIN LATERAL {schema}.callers_v1(asked.activity) AS caller (workflow)
    CROSS JOIN LATERAL (
      SELECT calls.execution_key, calls.step, calls.attempt, calls.service, calls.activity,
        calls.workflow, calls.number
      FROM {schema}.calls
      WHERE calls.activity = asked.activity AND calls.workflow = caller.workflow
        AND claimed_by IS NULL AND NOT cancelled
      ORDER BY calls.number LIMIT at_most * 4
    ) AS oldest
    WHERE NOT EXISTS (SELECT FROM bound WHERE name = asked.activity AND room <= 0)
  ), in_turn AS (
    SELECT *, row_number() OVER (PARTITION BY activity, workflow ORDER BY number) AS turn
    FROM queued
  ), of_activity AS (
    SELECT *, row_number() OVER (PARTITION BY activity ORDER BY turn, number) AS place
    FROM in_turn
  ), allowed AS (
    SELECT of_activity.*,
      row_number() OVER (PARTITION BY workflow ORDER BY of_activity.number) AS fair
    FROM of_activity LEFT JOIN bound ON bound.name = activity
    WHERE room IS NULL OR place <= room
  ), of_service AS (
    SELECT *, row_number() OVER (PARTITION BY service ORDER BY fair, number) AS nth FROM allowed
  )
  SELECT execution_key, step, attempt, fair, number
  FROM of_service LEFT JOIN bound ON bound.name = service
  WHERE room IS NULL OR nth <= room
  ORDER BY fair, number LIMIT at_most * 4
$$;

-- Claims calls of activities, as limits allow. With limits one node claims at a time, on all nodes.
CREATE FUNCTION {schema}.claim_v1(
  me bigint, wanted text[], names text[], concurrencies integer[], rates double precision[],
  bursts integer[], at_most integer
) RETURNS SETOF {schema}.calls LANGUAGE plpgsql
SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  limited text[] := '{}';
  rooms bigint[] := '{}';
  claimed {schema}.calls[];
  now bigint := {schema}.now_v1();
BEGIN
  PERFORM {schema}.fence_v1(me);
  IF cardinality(names) > 0 THEN
    PERFORM pg_advisory_xact_lock({schema}.lock_class_v1('claims'), 0);
    SELECT coalesce(array_agg(allowed.limited), '{}'), coalesce(array_agg(room), '{}')
    INTO limited, rooms
    FROM {schema}.rooms_v1(names, concurrencies, rates, bursts) AS allowed;
  END IF;
  WITH chosen AS (
    SELECT calls.execution_key, calls.step, calls.attempt
    FROM {schema}.claimable_v1(wanted, limited, rooms, at_most) AS claimable
    JOIN {schema}.calls USING (execution_key, step, attempt)
    WHERE claimed_by IS NULL AND NOT cancelled
    ORDER BY turn, claimable.number LIMIT at_most FOR UPDATE OF calls SKIP LOCKED
  ), written AS (
    UPDATE {schema}.calls SET claimed_by = me, claimed_at = now FROM chosen
    WHERE calls.execution_key = chosen.execution_key AND calls.step = chosen.step
      AND calls.attempt = chosen.attempt
    RETURNING calls
  )
  SELECT array_agg(calls) INTO claimed FROM written;
  IF claimed IS NOT NULL AND cardinality(names) > 0 THEN
    PERFORM {schema}.spend_v1(names, rates, bursts, ARRAY(
      SELECT (
        SELECT count(*) FROM unnest(claimed) AS call
        WHERE call.service = name OR call.activity = name
      ) FROM unnest(names) WITH ORDINALITY AS asked (name, place) ORDER BY place
    ));
  END IF;
  RETURN QUERY SELECT * FROM unnest(claimed);
END $$;
