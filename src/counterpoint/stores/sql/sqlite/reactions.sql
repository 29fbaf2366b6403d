-- name: insert_subscriptions
-- Subscribes; the numbers are given.
INSERT INTO subscriptions (
  number, service, name, type, lane, replay, position, created_at, until, publishes, event_key, first
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: redeclare_subscriptions
-- Gives subscriptions what they are declared with now.
WITH declared (number, service, lane, type) AS (VALUES (?, ?, ?, ?))
UPDATE subscriptions
SET service = declared.service, lane = declared.lane, type = declared.type
FROM declared
WHERE subscriptions.number = declared.number

-- name: redeclare_dead_letters
-- Gives dead letters the service and lane of their subscriptions.
WITH declared (number, service, lane) AS (VALUES (?, ?, ?))
UPDATE dead_letters
SET service = declared.service, lane = declared.lane
FROM declared
WHERE dead_letters.subscription = declared.number

-- name: move_subscriptions
-- Writes how far subscriptions have come, unless they have come further.
WITH moved (number, position) AS (VALUES (?, ?))
UPDATE subscriptions SET position = moved.position
FROM moved
WHERE subscriptions.number = moved.number AND subscriptions.position < moved.position

-- name: subscriptions
-- Reads all subscriptions.
SELECT
  number, service, name, type, lane, replay, position, created_at, until, publishes, event_key, first
FROM subscriptions ORDER BY number

-- name: delete_subscriptions
-- Deletes subscriptions by a JSON array of numbers.
DELETE FROM subscriptions WHERE number IN (SELECT value FROM json_each(?))

-- name: insert_reactions
-- Marks events as taken; there must be no marks yet.
INSERT INTO reactions (
  subscription, position, status, created_at, finished_at, key, attempts, due_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_plain_reactions
-- Marks events as taken by reactions that succeeded at once: binding a null costs 0.3 µs.
INSERT INTO reactions (subscription, position, created_at, finished_at, status, attempts)
VALUES (?, ?, ?, ?, 'completed', 1)

-- name: replace_reactions
-- Writes marks, in place of those that are there.
INSERT OR REPLACE INTO reactions (
  subscription, position, status, created_at, finished_at, key, attempts, due_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: reactions
-- Reads the marks of a JSON array of subscriptions in a range of the log.
SELECT subscription, position, status, created_at, finished_at, key, attempts, due_at
FROM reactions
WHERE position BETWEEN ? AND ? AND subscription IN (SELECT value FROM json_each(?))
ORDER BY position, subscription

-- name: reactions_at
-- Reads the marks of all subscriptions at a JSON array of positions.
SELECT subscription, position, status, created_at, finished_at, key, attempts, due_at
FROM reactions
WHERE position IN (SELECT value FROM json_each(?))
ORDER BY position, subscription

-- name: delete_journal_of_subscriptions
-- Deletes the journals of reactions by a JSON array of subscriptions; few reactions have one.
DELETE FROM journal WHERE execution_key IN (
  SELECT key FROM reactions
  WHERE key IS NOT NULL AND subscription IN (SELECT value FROM json_each(?))
)

-- name: delete_reactions_of_subscriptions
-- Deletes the marks of a JSON array of subscriptions.
DELETE FROM reactions WHERE subscription IN (SELECT value FROM json_each(?))

-- name: delete_journal_at
-- Deletes the journals of reactions by a JSON array of positions.
DELETE FROM journal WHERE execution_key IN (
  SELECT key FROM reactions
  WHERE key IS NOT NULL AND +position IN (SELECT value FROM json_each(?))
)

-- name: delete_reactions_at
-- Deletes the marks of all subscriptions at a JSON array of positions.
DELETE FROM reactions WHERE position IN (SELECT value FROM json_each(?))

-- name: replace_dead_letters
-- Writes dead letters, in place of those that are there.
INSERT OR REPLACE INTO dead_letters (
  subscription, position, service, lane, name, type, event_key, correlation_id, attempts, died_at,
  cause, codec, error
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: drop_dead_letters
-- Deletes single dead letters; the first two conditions let SQLite search by the primary key.
WITH dropped (subscription, position) AS (VALUES (?, ?))
DELETE FROM dead_letters
WHERE subscription IN (SELECT subscription FROM dropped)
  AND position IN (SELECT position FROM dropped)
  AND (subscription, position) IN dropped

-- name: delete_dead_letters_of_subscriptions
-- Deletes the dead letters of a JSON array of subscriptions.
DELETE FROM dead_letters WHERE subscription IN (SELECT value FROM json_each(?))

-- name: dead_letters
-- Reads dead letters; conditions, order and limit are appended.
SELECT
  subscription, position, service, lane, name, type, event_key, correlation_id, attempts, died_at,
  cause, codec, error
FROM dead_letters

-- name: dead_letter_groups
-- Counts dead letters by reaction and cause.
SELECT name, cause, count(*), min(died_at), max(died_at) FROM dead_letters
GROUP BY name, cause ORDER BY count(*) DESC, name, cause

-- name: insert_holds
-- Holds keys from a position on; the lower position counts.
INSERT INTO holds (service, lane, event_key, position) VALUES (?, ?, ?, ?)
ON CONFLICT (service, lane, event_key) DO UPDATE SET position = min(position, excluded.position)

-- name: drop_holds
-- Deletes single holds; the first three conditions let SQLite search by the primary key.
WITH dropped (service, lane, event_key) AS (VALUES (?, ?, ?))
DELETE FROM holds
WHERE service IN (SELECT service FROM dropped)
  AND lane IN (SELECT lane FROM dropped)
  AND event_key IN (SELECT event_key FROM dropped)
  AND (service, lane, event_key) IN dropped

-- name: holds
-- Reads holds in the order of their keys.
SELECT service, lane, event_key, position FROM holds
WHERE (service, lane, event_key) > (?, ?, ?)
ORDER BY service, lane, event_key LIMIT ?

-- name: insert_acts
-- Records acts; a request that is already there is not recorded twice.
INSERT INTO acts (at, kind, subject, run, request_id, actor, reason, codec, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (request_id) DO NOTHING

-- name: acts
-- Reads acts after a number.
SELECT at, kind, subject, run, request_id, actor, reason, codec, detail, number FROM acts
WHERE number > ? ORDER BY number LIMIT ?

-- name: acts_on
-- Reads the acts on one subject after a number.
SELECT at, kind, subject, run, request_id, actor, reason, codec, detail, number FROM acts
WHERE subject = ? AND number > ? ORDER BY number LIMIT ?
