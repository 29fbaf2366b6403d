-- name: set_attributes
-- Sets attributes of executions, or replaces their values.
INSERT INTO attributes (execution_key, name, value) VALUES (?, ?, ?)
ON CONFLICT (execution_key, name) DO UPDATE SET value = excluded.value

-- name: drop_attributes
-- Deletes single attributes; the first two conditions let SQLite search by the primary key.
WITH dropped (execution_key, name) AS (VALUES (?, ?))
DELETE FROM attributes
WHERE execution_key IN (SELECT execution_key FROM dropped)
  AND name IN (SELECT name FROM dropped)
  AND (execution_key, name) IN dropped

-- name: read_attributes
-- Reads the attributes of an execution.
SELECT name, value FROM attributes WHERE execution_key = ? ORDER BY name

-- name: delete_attributes
-- Deletes the attributes of executions by a JSON array of keys.
DELETE FROM attributes WHERE execution_key IN (SELECT value FROM json_each(?))
