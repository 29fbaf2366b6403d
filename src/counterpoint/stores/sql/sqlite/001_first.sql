-- The first schema. Every statement ends with a semicolon at the end of a line.
--
-- Times are integer microseconds UTC. Columns named `codec` say how the bytes beside them are read;
-- bytes are opaque to the database. `slot` is a stable hash of an event key into 256.

-- One run of a workflow. The first eleven columns are known at the start of every execution; the
-- others are null for most. Statuses are text, for people with the sqlite3 shell.
CREATE TABLE executions (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  run INTEGER NOT NULL,
  kind TEXT NOT NULL,
  service TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  status TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  wake_at INTEGER,
  finished_at INTEGER,
  deadline_at INTEGER,
  owner INTEGER,
  parent_key INTEGER,
  root_key INTEGER,
  correlation_id TEXT,
  causation_id TEXT,
  traceparent TEXT
);

CREATE UNIQUE INDEX executions_id ON executions (id, run);

-- What needs a node, in the order in which it needs it (the key is the index's own tail).
CREATE INDEX executions_wake ON executions (wake_at)
  WHERE status IN ('running', 'compensating', 'incident') AND wake_at IS NOT NULL;

CREATE INDEX executions_incident ON executions (status) WHERE status = 'incident';

CREATE INDEX executions_correlation ON executions (correlation_id) WHERE correlation_id IS NOT NULL;

CREATE INDEX executions_finished ON executions (finished_at) WHERE finished_at IS NOT NULL;

CREATE INDEX executions_parent ON executions (parent_key) WHERE parent_key IS NOT NULL;

-- Everything that one execution recorded in one commit. Not WITHOUT ROWID: appending to a table and
-- a small index beside it was measured a third cheaper than inserting bodies in the middle of one.
CREATE TABLE journal (
  execution_key INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  count INTEGER NOT NULL,
  codec TEXT NOT NULL,
  body BLOB NOT NULL,
  digest INTEGER NOT NULL,
  PRIMARY KEY (execution_key, first_seq)
);

-- What others ask of an execution, until the node has taken it over.
CREATE TABLE mailbox (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  request_id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  execution_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  codec TEXT NOT NULL,
  body BLOB NOT NULL
);

-- The event log; positions are never used twice.
CREATE TABLE events (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  key TEXT,
  slot INTEGER NOT NULL,
  correlation_id TEXT NOT NULL,
  causation_id TEXT,
  hops INTEGER NOT NULL,
  traceparent TEXT,
  time INTEGER NOT NULL,
  codec TEXT NOT NULL,
  data BLOB NOT NULL
);

CREATE UNIQUE INDEX events_id ON events (source, id);

CREATE INDEX events_type ON events (type, key, position);

CREATE INDEX events_correlation ON events (correlation_id, position);

-- How far each reaction, and each workflow that events start, has come in the log.
CREATE TABLE subscriptions (
  service TEXT NOT NULL,
  name TEXT NOT NULL,
  position INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (service, name)
) WITHOUT ROWID;

-- The inbox: one row for each event that a reaction has taken. Its key comes from the same sequence
-- as the executions' keys, so that the journal holds the failed attempts of both.
CREATE TABLE reactions (
  key INTEGER PRIMARY KEY,
  service TEXT NOT NULL,
  name TEXT NOT NULL,
  source TEXT NOT NULL,
  event_id TEXT NOT NULL,
  replay INTEGER NOT NULL,
  position INTEGER NOT NULL,
  lane TEXT NOT NULL,
  status TEXT NOT NULL,
  owner INTEGER,
  created_at INTEGER NOT NULL,
  finished_at INTEGER
);

CREATE UNIQUE INDEX reactions_event ON reactions (source, event_id, service, name, replay);

CREATE INDEX reactions_live ON reactions (position) WHERE finished_at IS NULL;

CREATE INDEX reactions_finished ON reactions (finished_at) WHERE finished_at IS NOT NULL;

-- Attempts that begin later: of a step of an execution, or of a reaction (step 0).
CREATE TABLE attempts_waiting (
  execution_key INTEGER NOT NULL,
  step INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  service TEXT NOT NULL,
  lane TEXT NOT NULL,
  event_key TEXT,
  PRIMARY KEY (execution_key, step)
) WITHOUT ROWID;

CREATE INDEX attempts_waiting_due ON attempts_waiting (due_at, execution_key);

-- Events that a reaction gave up on; later events of the key wait behind them.
CREATE TABLE dead_letters (
  reaction_key INTEGER PRIMARY KEY,
  service TEXT NOT NULL,
  lane TEXT NOT NULL,
  name TEXT NOT NULL,
  position INTEGER NOT NULL,
  event_key TEXT,
  slot INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  died_at INTEGER NOT NULL,
  cause TEXT NOT NULL,
  codec TEXT NOT NULL,
  error BLOB NOT NULL
);

CREATE INDEX dead_letters_key ON dead_letters (service, lane, event_key);

-- What a workflow says about itself, to be found by.
CREATE TABLE attributes (
  execution_key INTEGER NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (execution_key, name)
) WITHOUT ROWID;

CREATE INDEX attributes_value ON attributes (name, value, execution_key);

-- The event contracts that a node has declared.
CREATE TABLE contracts (
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  service TEXT NOT NULL,
  schema TEXT NOT NULL,
  declared_at INTEGER NOT NULL,
  PRIMARY KEY (type, version)
) WITHOUT ROWID;

-- The incarnations of nodes; a number is never used twice.
CREATE TABLE nodes (
  incarnation INTEGER PRIMARY KEY AUTOINCREMENT,
  app TEXT NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  lease_until INTEGER,
  lost_at INTEGER,
  stopped_at INTEGER
);

CREATE INDEX nodes_live ON nodes (incarnation) WHERE stopped_at IS NULL AND lost_at IS NULL;

-- What people did to executions and dead letters, and why.
CREATE TABLE acts (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  run INTEGER,
  request_id TEXT NOT NULL UNIQUE,
  actor TEXT,
  reason TEXT,
  codec TEXT NOT NULL,
  detail BLOB NOT NULL
);

CREATE INDEX acts_subject ON acts (subject, number);

-- Numbers that must not shrink when rows are deleted: `key` is at least every key ever used.
CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;
