-- name: insert_events
-- Appends to the log; the node gives the positions.
INSERT INTO events (
  position, source, id, type, version, key, slot, correlation_id, causation_id, publisher, hops,
  traceparent, time, recorded_at, codec, data
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: existing_event
-- Tells whether an event is in the log.
SELECT source, id FROM events WHERE source = ? AND id = ?

-- name: event
-- Reads the event of a source and an id.
SELECT
  position, source, id, type, version, key, slot, correlation_id, causation_id, publisher, hops,
  traceparent, time, recorded_at, codec, data
FROM events WHERE source = ? AND id = ?

-- name: events
-- Reads events; conditions, order and limit are appended.
SELECT
  position, source, id, type, version, key, slot, correlation_id, causation_id, publisher, hops,
  traceparent, time, recorded_at, codec, data
FROM events

-- name: count_events
-- Counts events; conditions are appended.
SELECT count(*) FROM events

-- name: last_position
-- Reads the highest position that an event or a deleted event has ever had.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)

-- name: forgettable_events
-- Reads the positions of events that were recorded before a time and that nobody needs any more.
SELECT position FROM events
WHERE recorded_at < ?
  AND position <= coalesce((SELECT min(position) FROM subscriptions), position)
  AND position NOT IN (SELECT position FROM dead_letters)
  AND NOT EXISTS (
    SELECT 1 FROM holds WHERE holds.event_key = events.key AND holds.position <= events.position
  )
ORDER BY recorded_at, position LIMIT ?

-- name: delete_events
-- Deletes events by a JSON array of positions.
DELETE FROM events WHERE position IN (SELECT value FROM json_each(?))

-- name: insert_waits
-- Lets executions wait for events.
INSERT OR REPLACE INTO event_waits (
  execution_key, wait, execution_id, type, event_key, position, since
) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: drop_waits
-- Deletes single waits; the first two conditions let SQLite search by the primary key.
WITH dropped (execution_key, wait) AS (VALUES (?, ?))
DELETE FROM event_waits
WHERE execution_key IN (SELECT execution_key FROM dropped)
  AND wait IN (SELECT wait FROM dropped)
  AND (execution_key, wait) IN dropped

-- name: delete_waits
-- Deletes the waits of executions by a JSON array of keys.
DELETE FROM event_waits WHERE execution_key IN (SELECT value FROM json_each(?))

-- name: waits_for
-- Reads the waits for any of some types and keys.
SELECT execution_key, wait, execution_id, type, event_key, position, since FROM event_waits
WHERE (type, event_key) IN (VALUES (?, ?))

-- name: fulfilled_waits
-- Reads waits for which an event is there; the newest event is the likeliest to be late enough.
SELECT execution_key, wait, execution_id, type, event_key, position, since
FROM event_waits
WHERE (execution_key, wait) > (?, ?)
  AND (
    SELECT 1 FROM events
    WHERE events.type = event_waits.type AND events.key = event_waits.event_key
      AND events.position > event_waits.position AND events.recorded_at >= event_waits.since
    ORDER BY events.position DESC LIMIT 1
  ) IS NOT NULL
ORDER BY execution_key, wait LIMIT ?

-- name: awaited_types
-- Reads the types that anybody waits for.
SELECT DISTINCT type FROM event_waits ORDER BY type

-- name: insert_contracts
-- Publishes contracts; one that is there already stays.
INSERT INTO contracts (type, version, service, key_field, schema, published_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (type, version) DO NOTHING

-- name: contracts
-- Reads every contract.
SELECT type, version, service, key_field, schema, published_at FROM contracts
ORDER BY type, version

-- name: count_contracts
-- Counts the versions of a type that are published.
SELECT count(*) FROM contracts WHERE type = ?

-- name: delete_contract
-- Deletes the contracts of all versions of a type.
DELETE FROM contracts WHERE type = ?
