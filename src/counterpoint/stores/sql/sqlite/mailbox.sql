-- name: insert_mail
-- Posts mail; a request that is already there is not posted twice.
INSERT INTO mailbox (request_id, kind, execution_id, at, codec, body, about, slot)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (request_id) DO NOTHING

-- name: read_mail
-- Reads mail after a position.
SELECT position, request_id, kind, execution_id, at, codec, body, about, slot FROM mailbox
WHERE position > ? ORDER BY position LIMIT ?

-- name: read_mail_of
-- Reads the mail of one execution after a position.
SELECT position, request_id, kind, execution_id, at, codec, body, about, slot FROM mailbox
WHERE execution_id = ? AND position > ? ORDER BY position LIMIT ?

-- name: delete_mail
-- Deletes mail by a JSON array of positions.
DELETE FROM mailbox WHERE position IN (SELECT value FROM json_each(?))
