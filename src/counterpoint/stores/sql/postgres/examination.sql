-- name: workflow_loads
-- Counts live executions by workflow and version.
SELECT name, version, count(*), min(created_at) FROM {schema}.executions
WHERE status IN ('running', 'compensating', 'incident')
GROUP BY name, version ORDER BY name, version

-- name: is_hosted
-- Tells whether any incarnation may commit.
SELECT EXISTS (
  SELECT 1 FROM {schema}.nodes WHERE stopped_at IS NULL AND lost_at IS NULL
)

-- name: facts
-- Reads how the server is set up for this user, and how large the store is.
SELECT
  current_setting('server_version') AS server,
  current_setting('default_transaction_isolation') AS isolation,
  current_setting('synchronous_commit') AS synchronous_commit,
  current_setting('fsync') AS fsync,
  current_setting('full_page_writes') AS full_page_writes,
  current_setting('max_connections')::integer AS connections_max,
  (SELECT count(*)::integer FROM pg_stat_activity WHERE backend_type = 'client backend')
    AS connections,
  (SELECT coalesce(max(number), 0) FROM {schema}.migrations) AS schema_version,
  (
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
    WHERE relnamespace = to_regnamespace('{schema}') AND relkind = 'r'
  ) AS store_bytes

-- name: round_trip
-- Does nothing, to see how long that takes.
SELECT 1

-- name: old_transactions
-- Finds the transactions in this database that are open for some seconds, oldest first.
SELECT
  pid, coalesce(application_name, '') AS application, coalesce(state, '') AS state,
  (extract(epoch FROM xact_start) * 1000000)::bigint AS since
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type = 'client backend' AND xact_start <= now() - make_interval(secs => $1)
ORDER BY xact_start LIMIT 3

-- name: notify
-- Says something on a channel.
SELECT pg_notify($1, '')
