-- Who delivers the events of which slot, and how far a service has come.
--
-- A node's progress with a subscription is true of every slot that it owns: all events of these up
-- to there are done. A subscription's position becomes the least progress of those who own slots,
-- if all slots have living owners. Whoever takes slots, or moves a position, holds the rows of the
-- service's subscriptions, so that nobody moves a position while slots come to a node whose
-- progress is above what their former owner has done.

-- Holds the subscriptions of a service until the end of the transaction.
CREATE FUNCTION {schema}.hold_subscriptions_v1(of_service text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM {schema}.subscriptions WHERE service = of_service ORDER BY number FOR UPDATE;
END $$;

-- Becomes the owner of some slots that no living node owns: any, so that nodes that come at once
-- do not all want the same.
CREATE FUNCTION {schema}.take_slots_v1(me bigint, of_service text, at_most integer)
RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE
  taken integer[];
BEGIN
  PERFORM {schema}.fence_v1(me);
  PERFORM {schema}.hold_subscriptions_v1(of_service);
  IF (SELECT count(*) FROM {schema}.slots WHERE service = of_service) < 256 THEN
    INSERT INTO {schema}.slots (service, slot)
    SELECT of_service, slot FROM generate_series(0, 255) AS slot ORDER BY slot
    ON CONFLICT DO NOTHING;
  END IF;
  -- Dead is who is known and dead: an incarnation that was made since is not.
  WITH free AS (
    SELECT service, slot FROM {schema}.slots
    WHERE service = of_service AND (owner IS NULL OR EXISTS (
      SELECT FROM {schema}.nodes
      WHERE incarnation = owner AND (stopped_at IS NOT NULL OR lost_at IS NOT NULL)
    ))
    ORDER BY random() LIMIT at_most FOR UPDATE OF slots SKIP LOCKED
  ), owned AS (
    UPDATE {schema}.slots SET owner = me FROM free
    WHERE slots.service = free.service AND slots.slot = free.slot RETURNING slots.slot
  )
  SELECT coalesce(array_agg(slot ORDER BY slot), '{}') INTO taken FROM owned;
  IF cardinality(taken) > 0 THEN
    INSERT INTO {schema}.progress (subscription, incarnation, position)
    SELECT number, me, position FROM {schema}.subscriptions
    WHERE service = of_service ORDER BY number
    ON CONFLICT (subscription, incarnation)
    DO UPDATE SET position = least(progress.position, excluded.position);
    PERFORM {schema}.tell_others_v1(me, 'nodes');
  END IF;
  RETURN taken;
END $$;

-- Gives slots back, with the acts that lie here for them.
CREATE FUNCTION {schema}.give_slots_v1(me bigint, of_service text, given integer[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM {schema}.fence_v1(me);
  UPDATE {schema}.slots SET owner = NULL
  WHERE service = of_service AND slot = ANY (given) AND owner = me;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  PERFORM FROM {schema}.log FOR UPDATE;
  UPDATE {schema}.mailbox SET target = NULL WHERE position IN (
    SELECT position FROM {schema}.mailbox
    WHERE target = me AND about = of_service AND slot = ANY (given)
    FOR UPDATE SKIP LOCKED  -- it is just being deleted: it was taken over before
  );
  PERFORM {schema}.tell_others_v1(me, 'nodes');
END $$;

-- Writes how far a node has come, and moves positions as far as all owners have.
CREATE FUNCTION {schema}.advance_v1(
  me bigint, of_service text, numbers bigint[], places bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  owners bigint[];
BEGIN
  PERFORM {schema}.fence_v1(me);
  PERFORM {schema}.hold_subscriptions_v1(of_service);
  INSERT INTO {schema}.progress (subscription, incarnation, position)
  SELECT said.number, me, max(said.place) FROM unnest(numbers, places) AS said (number, place)
  JOIN {schema}.subscriptions ON subscriptions.number = said.number AND service = of_service
  GROUP BY said.number ORDER BY said.number
  ON CONFLICT (subscription, incarnation)
  DO UPDATE SET position = excluded.position WHERE progress.position < excluded.position;
  SELECT array_agg(DISTINCT owner) INTO owners FROM {schema}.slots
  JOIN {schema}.nodes ON incarnation = owner
  WHERE service = of_service AND stopped_at IS NULL AND lost_at IS NULL HAVING count(*) = 256;
  UPDATE {schema}.subscriptions SET position = reached.position FROM (
    SELECT subscription, min(position) AS position FROM {schema}.progress
    WHERE subscription = ANY (numbers) AND incarnation = ANY (owners)
    GROUP BY subscription HAVING count(*) = cardinality(owners)
  ) AS reached
  WHERE number = reached.subscription AND service = of_service
    AND subscriptions.position < reached.position;
END $$;
