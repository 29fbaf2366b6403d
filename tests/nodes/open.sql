-- What is still open in a store, one row for each kind: its name and how many there are.
-- $1: how many orders there are in all; $2: the processes of its nodes; $3: the events that end an order.
SELECT 'live executions' AS what, count(*) AS many
  FROM executions WHERE status IN ('running', 'compensating', 'incident')
UNION ALL
SELECT 'orders that have not ended', $1::bigint - greatest(
  (SELECT count(*) FROM executions WHERE name = 'orders.place_order' AND finished_at IS NOT NULL),
  (SELECT count(DISTINCT key) FROM events WHERE type = ANY ($3::text[])))
UNION ALL
SELECT 'incidents', count(*) FROM executions WHERE status = 'incident'
UNION ALL
SELECT 'dead letters', count(*) FROM dead_letters
UNION ALL
SELECT 'reactions that are due', count(*)
  FROM events JOIN subscriptions USING (type)
  LEFT JOIN reactions ON subscription = number AND reactions.position = events.position
  WHERE replay = 0 AND coalesce(reactions.status, '') <> 'completed'
UNION ALL
SELECT 'letters', count(*) FROM mailbox
UNION ALL
SELECT 'calls', count(*) FROM calls
UNION ALL
SELECT 'nodes that are not there', cardinality($2::bigint[]) - count(DISTINCT pid)
  FROM nodes WHERE stopped_at IS NULL AND lost_at IS NULL AND pid = ANY ($2)
UNION ALL
SELECT 'nodes that nobody has declared dead', count(*)
  FROM nodes WHERE stopped_at IS NULL AND lost_at IS NULL AND pid <> ALL ($2)
UNION ALL
SELECT 'slots without a node that hosts them', 256 * wanted.services - owned.slots
  FROM (SELECT count(DISTINCT service) AS services FROM subscriptions) AS wanted,
    (SELECT count(*) AS slots FROM slots JOIN nodes ON owner = incarnation
      WHERE stopped_at IS NULL AND lost_at IS NULL AND service = ANY (services)) AS owned
