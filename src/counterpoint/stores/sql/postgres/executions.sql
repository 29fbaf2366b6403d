-- name: newest_execution
-- Reads the newest run of an id.
SELECT
  key, id, run, kind, service, name, version, status, fingerprint, created_at, wake_at,
  finished_at, deadline_at, owner, parent_key, root_key, correlation_id, causation_id, traceparent
FROM {schema}.executions WHERE id = $1 ORDER BY run DESC LIMIT 1

-- name: existing_executions
-- Tells which runs of executions are there.
SELECT id, run FROM {schema}.executions
WHERE (id, run) IN (SELECT * FROM unnest($1::text[], $2::integer[]))

-- name: executions
-- Reads all executions; conditions, order and limit are appended.
SELECT
  key, id, run, kind, service, name, version, status, fingerprint, created_at, wake_at,
  finished_at, deadline_at, owner, parent_key, root_key, correlation_id, causation_id, traceparent
FROM {schema}.executions

-- name: executions_by_attribute
-- Reads the executions below a key that have an attribute; the rest is appended.
SELECT
  key, id, run, kind, service, name, version, status, fingerprint, created_at, wake_at,
  finished_at, deadline_at, owner, parent_key, root_key, correlation_id, causation_id, traceparent
FROM (
  SELECT execution_key FROM {schema}.attributes WHERE name = ? AND value = ? AND execution_key < ?
) AS found
JOIN {schema}.executions ON key = found.execution_key

-- name: has_attribute
-- A condition on executions, for every further attribute.
EXISTS (
  SELECT 1 FROM {schema}.attributes AS further
  WHERE further.execution_key = executions.key AND further.name = ? AND further.value = ?
)

-- name: is_newest_run
-- A condition on executions.
NOT EXISTS (
  SELECT 1 FROM {schema}.executions AS later
  WHERE later.id = executions.id AND later.run > executions.run
)

-- name: due
-- Reads what needs a node; the condition on status repeats that of the partial index.
SELECT wake_at, key, id FROM {schema}.executions
WHERE status IN ('running', 'compensating', 'incident')
  AND (wake_at, key) > ($1, $2) AND wake_at <= $3
ORDER BY wake_at, key LIMIT $4

-- name: due_here
-- Reads what needs the node that owns it.
SELECT wake_at, key, id FROM {schema}.executions
WHERE owner = $5 AND status IN ('running', 'compensating', 'incident')
  AND (wake_at, key) > ($1, $2) AND wake_at <= $3
ORDER BY wake_at, key LIMIT $4

-- name: count_executions
-- Counts executions by status.
SELECT status, count(*) FROM {schema}.executions GROUP BY status

-- name: fence
-- Lets nobody declare a node lost until the transaction is over; refuses one that is.
SELECT {schema}.fence_v1($1)

-- name: reserve_keys
-- Takes keys that nobody else gets; returns the last of them.
UPDATE {schema}.log SET key = key + $1 RETURNING key

-- name: forget
-- Deletes finished executions.
SELECT {schema}.forget_v1($1, $2, $3)

-- name: read_journal
-- Reads the journal of an execution after a record.
SELECT execution_key, first_seq, count, codec, body, digest FROM {schema}.journal
WHERE execution_key = $1 AND first_seq > $2 ORDER BY first_seq

-- name: read_attributes
-- Reads the attributes of an execution.
SELECT name, value FROM {schema}.attributes WHERE execution_key = $1 ORDER BY name

-- name: read_mail
-- Reads mail after a position.
SELECT position, request_id, kind, execution_id, at, codec, body, about, slot FROM {schema}.mailbox
WHERE position > $1 ORDER BY position LIMIT $2

-- name: read_mail_here
-- Reads mail after a position that one node has to take. Without an equality the planner cannot take
-- the index on positions, in which it would step over the letters of all others.
SELECT position, request_id, kind, execution_id, at, codec, body, about, slot FROM {schema}.mailbox
WHERE target BETWEEN $3 AND $3 AND position > $1 ORDER BY target, position LIMIT $2

-- name: read_mail_of
-- Reads the mail of one execution after a position.
SELECT position, request_id, kind, execution_id, at, codec, body, about, slot FROM {schema}.mailbox
WHERE execution_id = $3 AND position > $1 ORDER BY position LIMIT $2
