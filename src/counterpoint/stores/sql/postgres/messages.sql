-- name: event
-- Reads the event of a source and an id.
SELECT
  position, source, id, type, version, key, slot, correlation_id, causation_id, publisher, hops,
  traceparent, time, recorded_at, codec, data
FROM {schema}.events WHERE source = $1 AND id = $2

-- name: existing_events
-- Tells which events are in the log.
SELECT source, id FROM {schema}.events
WHERE (source, id) IN (SELECT * FROM unnest($1::text[], $2::text[]))

-- name: events
-- Reads events; conditions, order and limit are appended.
SELECT
  position, source, id, type, version, key, slot, correlation_id, causation_id, publisher, hops,
  traceparent, time, recorded_at, codec, data
FROM {schema}.events

-- name: count_events
-- Counts events; conditions are appended.
SELECT count(*) FROM {schema}.events

-- name: last_position
-- Reads the highest position that an event or a deleted event has ever had.
SELECT position FROM {schema}.log

-- name: forget_events
-- Deletes events that nobody needs any more.
SELECT {schema}.forget_events_v1($1, $2, $3)

-- name: waits_for
-- Reads the waits for any of some types and keys.
SELECT execution_key, wait, execution_id, type, event_key, position, since
FROM {schema}.event_waits
WHERE (type, event_key) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY execution_key, wait

-- name: waits_for_here
-- Reads the waits for any of some types and keys, of the executions that one node owns.
SELECT w.execution_key, w.wait, w.execution_id, w.type, w.event_key, w.position, w.since
FROM {schema}.event_waits AS w
JOIN {schema}.executions AS x ON x.key = w.execution_key AND x.owner = $3
WHERE (w.type, w.event_key) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY w.execution_key, w.wait

-- name: fulfilled_waits
-- Reads waits for which an event is there; the newest event is the likeliest to be late enough.
SELECT execution_key, wait, execution_id, type, event_key, position, since
FROM {schema}.event_waits AS w
WHERE (execution_key, wait) > ($1, $2)
  AND (
    SELECT true FROM {schema}.events AS e
    WHERE e.type = w.type AND e.key = w.event_key AND e.position > w.position
      AND e.recorded_at >= w.since
    ORDER BY e.position DESC LIMIT 1
  )
ORDER BY execution_key, wait LIMIT $3

-- name: fulfilled_waits_here
-- Reads waits for which an event is there, of the executions that one node owns.
SELECT w.execution_key, w.wait, w.execution_id, w.type, w.event_key, w.position, w.since
FROM {schema}.event_waits AS w
JOIN {schema}.executions AS x ON x.key = w.execution_key AND x.owner = $4
WHERE (w.execution_key, w.wait) > ($1, $2)
  AND (
    SELECT true FROM {schema}.events AS e
    WHERE e.type = w.type AND e.key = w.event_key AND e.position > w.position
      AND e.recorded_at >= w.since
    ORDER BY e.position DESC LIMIT 1
  )
ORDER BY w.execution_key, w.wait LIMIT $3

-- name: awaited_types
-- Reads the types that anybody waits for, one step in the index for each.
WITH RECURSIVE types (type) AS (
  (SELECT type FROM {schema}.event_waits ORDER BY type LIMIT 1)
  UNION ALL
  SELECT (
    SELECT w.type FROM {schema}.event_waits AS w WHERE w.type > types.type ORDER BY w.type LIMIT 1
  )
  FROM types WHERE types.type IS NOT NULL
)
SELECT type FROM types WHERE type IS NOT NULL

-- name: contracts
-- Reads every contract.
SELECT type, version, service, key_field, schema, published_at FROM {schema}.contracts
ORDER BY type, version

-- name: forget_contract
-- Deletes the contracts of all versions of a type.
SELECT {schema}.forget_contract_v1($1, $2)

-- name: subscriptions
-- Reads all subscriptions.
SELECT
  number, service, name, type, lane, replay, position, created_at, until, publishes, event_key, first
FROM {schema}.subscriptions ORDER BY number

-- name: reactions
-- Reads the marks of some subscriptions in a range of the log.
SELECT subscription, position, status, created_at, finished_at, key, attempts, due_at
FROM {schema}.reactions
WHERE position BETWEEN $1 AND $2 AND subscription = ANY ($3::bigint[])
ORDER BY position, subscription

-- name: reactions_at
-- Reads the marks of all subscriptions at some positions.
SELECT subscription, position, status, created_at, finished_at, key, attempts, due_at
FROM {schema}.reactions
WHERE position = ANY ($1::bigint[])
ORDER BY position, subscription

-- name: dead_letters
-- Reads dead letters; conditions, order and limit are appended.
SELECT
  subscription, position, service, lane, name, type, event_key, correlation_id, attempts, died_at,
  cause, codec, error
FROM {schema}.dead_letters

-- name: dead_letter_groups
-- Counts dead letters by reaction and cause.
SELECT name, cause, count(*), min(died_at), max(died_at) FROM {schema}.dead_letters
GROUP BY name, cause ORDER BY count(*) DESC, name, cause

-- name: holds
-- Reads holds in the order of their keys.
SELECT service, lane, event_key, position FROM {schema}.holds
WHERE (service, lane, event_key) > ($1, $2, $3)
ORDER BY service, lane, event_key LIMIT $4

-- name: acts
-- Reads acts after a number.
SELECT at, kind, subject, run, request_id, actor, reason, codec, detail, number FROM {schema}.acts
WHERE number > $1 ORDER BY number LIMIT $2

-- name: acts_on
-- Reads the acts on one subject after a number.
SELECT at, kind, subject, run, request_id, actor, reason, codec, detail, number FROM {schema}.acts
WHERE subject = $3 AND number > $1 ORDER BY number LIMIT $2
