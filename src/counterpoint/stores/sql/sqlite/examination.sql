-- name: workflow_loads
-- Counts live executions by workflow and version.
SELECT name, version, count(*), min(created_at) FROM executions
WHERE status IN ('running', 'compensating', 'incident')
GROUP BY name, version ORDER BY name, version
