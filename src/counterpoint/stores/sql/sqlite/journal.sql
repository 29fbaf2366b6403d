-- name: insert_journal
-- Appends to the journals of executions.
INSERT INTO journal (execution_key, first_seq, count, codec, body, digest)
VALUES (?, ?, ?, ?, ?, ?)

-- name: read_journal
-- Reads the journal of an execution after a record.
SELECT execution_key, first_seq, count, codec, body, digest FROM journal
WHERE execution_key = ? AND first_seq > ? ORDER BY first_seq

-- name: delete_journal
-- Deletes the journals of executions by a JSON array of keys.
DELETE FROM journal WHERE execution_key IN (SELECT value FROM json_each(?))
