-- name: enter
-- Makes an incarnation.
SELECT {schema}.enter_v1($1)

-- name: leave
-- Ends an incarnation by itself.
SELECT {schema}.leave_v1($1)

-- name: announce
-- Says what a node is and hosts.
SELECT {schema}.announce_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: pulse
-- Renews the lease and looks around.
SELECT draining, others, mail, unrouted, last_position, calls, cancelled, orphans, expired,
  membership, dead
FROM {schema}.pulse_v1($1, $2)

-- name: declare_lost
-- Declares an incarnation lost if its lease is over, or anyway.
SELECT {schema}.declare_lost_v1($1, $2)

-- name: adopt
-- Becomes the owner of executions of dead incarnations.
SELECT taken, first_wake_at FROM {schema}.adopt_v1($1, $2)

-- name: adopt_claims
-- Takes over what dead incarnations had claimed.
SELECT execution_key, step, attempt, execution_id, workflow, service, activity, offered_at, codec,
  body, claimed_by, claimed_at, cancelled, ended
FROM {schema}.adopt_claims_v1($1, $2)

-- name: settle
-- Remembers dead incarnations that own nothing any more.
SELECT {schema}.settle_v1($1)

-- name: route
-- Routes letters for which nobody is responsible.
SELECT {schema}.route_v1($1, $2)

-- name: ended
-- Tells which executions have ended and do not continue as new.
SELECT asked.id FROM unnest($1::text[]) AS asked (id)
WHERE (
  SELECT status FROM {schema}.executions WHERE executions.id = asked.id ORDER BY run DESC LIMIT 1
) NOT IN ('running', 'compensating', 'incident', 'continued')

-- name: nodes
-- Reads the incarnations that may commit, or all.
SELECT incarnation, node, app, host, pid, services, workflows, versions, activities, subscriptions,
  started_at, coalesce(seen_at, started_at), coalesce(until, started_at), draining, stopped_at,
  lost_at
FROM {schema}.nodes LEFT JOIN {schema}.leases USING (incarnation)
WHERE $1 OR (stopped_at IS NULL AND lost_at IS NULL)
ORDER BY incarnation

-- name: loads
-- Counts what each incarnation owns; one that is alive and owns nothing is there, too.
SELECT incarnation, sum(executions)::bigint, sum(slots)::bigint, sum(calls)::bigint
FROM (
  SELECT owner AS incarnation, count(*) AS executions, 0 AS slots, 0 AS calls
  FROM {schema}.executions
  WHERE owner IS NOT NULL AND status IN ('running', 'compensating', 'incident') GROUP BY owner
  UNION ALL
  SELECT owner, 0, count(*), 0 FROM {schema}.slots WHERE owner IS NOT NULL GROUP BY owner
  UNION ALL
  SELECT claimed_by, 0, 0, count(*) FROM {schema}.calls
  WHERE claimed_by IS NOT NULL AND NOT ended GROUP BY claimed_by
  UNION ALL
  SELECT nodes.incarnation, 0, 0, 0 FROM {schema}.nodes
  WHERE stopped_at IS NULL AND lost_at IS NULL
) AS owned
GROUP BY incarnation ORDER BY incarnation

-- name: drain
-- Asks a node to hand over and stop.
SELECT {schema}.drain_v1($1)

-- name: clock
-- Reads the server's clock, in microseconds.
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint

-- name: slots
-- Reads which living node owns each slot of services.
SELECT service, slot, CASE WHEN {schema}.alive_v1(owner) THEN owner END FROM {schema}.slots
WHERE service = ANY ($1::text[]) ORDER BY service, slot

-- name: take_slots
-- Becomes the owner of free slots.
SELECT {schema}.take_slots_v1($1, $2, $3)

-- name: give_slots
-- Gives slots back.
SELECT {schema}.give_slots_v1($1, $2, $3)

-- name: advance
-- Says how far a node has come.
SELECT {schema}.advance_v1($1, $2, $3, $4)

-- name: claim
-- Claims calls, as limits allow.
SELECT execution_key, step, attempt, execution_id, workflow, service, activity, offered_at, codec,
  body, claimed_by, claimed_at, cancelled, ended
FROM {schema}.claim_v1($1, $2, $3, $4, $5, $6, $7) ORDER BY number

-- name: cancelled_claims
-- Reads the claims of a node that nobody waits for.
SELECT execution_key, step, attempt FROM {schema}.calls
WHERE claimed_by = $1 AND NOT ended AND cancelled ORDER BY number

-- name: calls_of
-- Reads the calls of one execution.
SELECT execution_key, step, attempt, execution_id, workflow, service, activity, offered_at, codec,
  body, claimed_by, claimed_at, cancelled, ended
FROM {schema}.calls WHERE execution_key = $1 ORDER BY step, attempt

-- name: calls_out
-- Tells whether calls of live executions of a node are there.
SELECT EXISTS (
  SELECT FROM {schema}.calls JOIN {schema}.executions ON executions.key = calls.execution_key
  WHERE owner = $1 AND status IN ('running', 'compensating', 'incident')
)

-- name: unhosted_calls
-- Counts the calls that wait for an activity that no living node hosts.
SELECT activity, waiting, since FROM (
  SELECT activity, count(*) AS waiting, min(offered_at) AS since FROM {schema}.calls
  WHERE claimed_by IS NULL AND NOT cancelled GROUP BY activity
) AS offered
WHERE NOT EXISTS (
  SELECT FROM {schema}.nodes
  WHERE stopped_at IS NULL AND lost_at IS NULL AND activity = ANY (activities)
)
ORDER BY activity
