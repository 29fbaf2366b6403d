-- The first schema. Names are qualified by the schema, which takes the place of the word in braces.
--
-- Times are integer microseconds UTC. Columns named `codec` say how the bytes beside them are read;
-- bytes are opaque to the database. Text is compared byte by byte, in every locale.

-- The counters from which keys and positions come. Who writes events or letters updates this row and
-- holds it until the end of the transaction: so positions become readable in their order.
CREATE TABLE {schema}.log (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  key bigint NOT NULL DEFAULT 0,
  position bigint NOT NULL DEFAULT 0,
  mail bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

INSERT INTO {schema}.log DEFAULT VALUES;

-- One run of a workflow. `owner` is the incarnation that alone writes its journal.
CREATE TABLE {schema}.executions (
  key bigint PRIMARY KEY,
  id text COLLATE "C" NOT NULL,
  run integer NOT NULL,
  kind text NOT NULL,
  service text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  status text NOT NULL,
  fingerprint bytea NOT NULL,
  created_at bigint NOT NULL,
  wake_at bigint,
  finished_at bigint,
  deadline_at bigint,
  owner bigint,
  parent_key bigint,
  root_key bigint,
  correlation_id text COLLATE "C",
  causation_id text COLLATE "C",
  traceparent text
);

CREATE UNIQUE INDEX executions_id ON {schema}.executions (id, run);

-- What an owner has to look after, in the order in which it needs a node; what only waits is last.
CREATE INDEX executions_owned ON {schema}.executions (owner, wake_at, key)
  WHERE status IN ('running', 'compensating', 'incident');

CREATE INDEX executions_incident ON {schema}.executions (key) WHERE status = 'incident';

CREATE INDEX executions_correlation ON {schema}.executions (correlation_id)
  WHERE correlation_id IS NOT NULL;

CREATE INDEX executions_finished ON {schema}.executions (finished_at) WHERE finished_at IS NOT NULL;

CREATE INDEX executions_parent ON {schema}.executions (parent_key) WHERE parent_key IS NOT NULL;

-- Everything that one execution recorded in one commit.
CREATE TABLE {schema}.journal (
  execution_key bigint NOT NULL,
  first_seq integer NOT NULL,
  count integer NOT NULL,
  codec text NOT NULL,
  body bytea NOT NULL,
  digest bigint NOT NULL,
  PRIMARY KEY (execution_key, first_seq)
);

-- What others ask of an execution, until its owner has taken it over. `target` is the incarnation
-- that has to; where it is null, or not alive, the letter has to be routed (again).
CREATE TABLE {schema}.mailbox (
  position bigint PRIMARY KEY,
  request_id text COLLATE "C" NOT NULL UNIQUE,
  kind text NOT NULL,
  execution_id text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  codec text NOT NULL,
  body bytea NOT NULL,
  about text COLLATE "C",
  slot integer,
  target bigint
);

CREATE INDEX mailbox_execution ON {schema}.mailbox (execution_id, position);

CREATE INDEX mailbox_target ON {schema}.mailbox (target, position);

-- What executions say about themselves, to be found by.
CREATE TABLE {schema}.attributes (
  execution_key bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  PRIMARY KEY (execution_key, name)
);

CREATE INDEX attributes_value ON {schema}.attributes (name, value, execution_key);

-- The event log; positions are never used twice.
CREATE TABLE {schema}.events (
  position bigint PRIMARY KEY,
  source text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  key text COLLATE "C" NOT NULL,
  slot integer NOT NULL,
  correlation_id text COLLATE "C" NOT NULL,
  causation_id text COLLATE "C",
  publisher text,
  hops integer NOT NULL,
  traceparent text,
  time bigint NOT NULL,
  recorded_at bigint NOT NULL,
  codec text NOT NULL,
  data bytea NOT NULL
);

CREATE UNIQUE INDEX events_id ON {schema}.events (id, source);

CREATE INDEX events_type ON {schema}.events (type, key, position);

CREATE INDEX events_correlation ON {schema}.events (correlation_id, position);

CREATE INDEX events_recorded ON {schema}.events (recorded_at);

-- How far each reaction, each workflow that events start, and each replay has come in the log.
CREATE TABLE {schema}.subscriptions (
  number bigint PRIMARY KEY,
  service text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  lane text COLLATE "C" NOT NULL,
  replay bigint NOT NULL,
  position bigint NOT NULL,
  created_at bigint NOT NULL,
  until bigint,
  publishes boolean NOT NULL,
  event_key text COLLATE "C",
  first bigint NOT NULL
) WITH (fillfactor = 50);

CREATE UNIQUE INDEX subscriptions_name ON {schema}.subscriptions (name, replay);

-- How far the owners of a service's slots have come, each for its own slots.
CREATE TABLE {schema}.progress (
  subscription bigint NOT NULL,
  incarnation bigint NOT NULL,
  position bigint NOT NULL,
  PRIMARY KEY (subscription, incarnation)
) WITH (fillfactor = 50);

-- The inbox: one row for each event that a reaction has taken.
CREATE TABLE {schema}.reactions (
  subscription bigint NOT NULL,
  position bigint NOT NULL,
  status text NOT NULL,
  created_at bigint NOT NULL,
  finished_at bigint,
  key bigint,
  attempts integer NOT NULL,
  due_at bigint,
  PRIMARY KEY (position, subscription)
);

-- Events that a reaction gave up on.
CREATE TABLE {schema}.dead_letters (
  subscription bigint NOT NULL,
  position bigint NOT NULL,
  service text COLLATE "C" NOT NULL,
  lane text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  event_key text COLLATE "C" NOT NULL,
  correlation_id text COLLATE "C" NOT NULL,
  attempts integer NOT NULL,
  died_at bigint NOT NULL,
  cause text COLLATE "C" NOT NULL,
  codec text NOT NULL,
  error bytea NOT NULL,
  PRIMARY KEY (subscription, position)
);

CREATE INDEX dead_letters_cause ON {schema}.dead_letters (name, cause, died_at);

-- Keys whose events, from a position on, have to be looked at again: one of them failed.
CREATE TABLE {schema}.holds (
  service text COLLATE "C" NOT NULL,
  lane text COLLATE "C" NOT NULL,
  event_key text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  PRIMARY KEY (service, lane, event_key)
);

CREATE INDEX holds_key ON {schema}.holds (event_key, position);

-- What workflows wait for.
CREATE TABLE {schema}.event_waits (
  execution_key bigint NOT NULL,
  wait integer NOT NULL,
  execution_id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  event_key text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  since bigint NOT NULL,
  PRIMARY KEY (execution_key, wait)
);

CREATE INDEX event_waits_key ON {schema}.event_waits (type, event_key);

-- What was really published.
CREATE TABLE {schema}.contracts (
  type text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  service text COLLATE "C" NOT NULL,
  key_field text NOT NULL,
  schema text NOT NULL,
  published_at bigint NOT NULL,
  PRIMARY KEY (type, version)
);

-- What people did to executions and dead letters, and why.
CREATE TABLE {schema}.acts (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at bigint NOT NULL,
  kind text NOT NULL,
  subject text COLLATE "C" NOT NULL,
  run integer,
  request_id text COLLATE "C" NOT NULL UNIQUE,
  actor text,
  reason text,
  codec text NOT NULL,
  detail bytea NOT NULL
);

CREATE INDEX acts_subject ON {schema}.acts (subject, number);

-- The incarnations of nodes. One that is neither lost nor stopped may commit.
CREATE TABLE {schema}.nodes (
  incarnation bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  node text NOT NULL,
  app text NOT NULL,
  host text NOT NULL,
  pid bigint NOT NULL,
  services text[] NOT NULL,
  workflows text[] NOT NULL,
  versions integer[] NOT NULL,
  activities text[] NOT NULL,
  subscriptions text[] NOT NULL,
  started_at bigint NOT NULL,
  draining boolean NOT NULL DEFAULT false,
  stopped_at bigint,
  lost_at bigint
);

CREATE INDEX nodes_alive ON {schema}.nodes (incarnation) WHERE stopped_at IS NULL AND lost_at IS NULL;

-- The leases of incarnations, beside their rows: renewing one does not touch what commits look at.
CREATE TABLE {schema}.leases (
  incarnation bigint PRIMARY KEY,
  seen_at bigint NOT NULL,
  until bigint NOT NULL
) WITH (fillfactor = 50);

-- Who delivers the events of which slot to which service.
CREATE TABLE {schema}.slots (
  service text COLLATE "C" NOT NULL,
  slot integer NOT NULL,
  owner bigint,
  PRIMARY KEY (service, slot)
) WITH (fillfactor = 50);

-- Attempts of steps that other nodes run than the owner of the execution.
CREATE TABLE {schema}.calls (
  execution_key bigint NOT NULL,
  step integer NOT NULL,
  attempt integer NOT NULL,
  execution_id text COLLATE "C" NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  service text COLLATE "C" NOT NULL,
  activity text COLLATE "C" NOT NULL,
  offered_at bigint NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY,
  codec text NOT NULL,
  body bytea NOT NULL,
  claimed_by bigint,
  claimed_at bigint,
  cancelled boolean NOT NULL DEFAULT false,
  ended boolean NOT NULL DEFAULT false,
  PRIMARY KEY (execution_key, step, attempt)
);

CREATE INDEX calls_offered ON {schema}.calls (activity, workflow, number)
  WHERE claimed_by IS NULL;

CREATE INDEX calls_claimed ON {schema}.calls (claimed_by) WHERE claimed_by IS NOT NULL AND NOT ended;

-- The buckets from which rates are taken.
CREATE TABLE {schema}.rates (
  name text COLLATE "C" PRIMARY KEY,
  tokens double precision NOT NULL,
  filled_at bigint NOT NULL
);
