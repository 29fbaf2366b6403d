-- Events, and those who react to them. The tables of the first schema that these replace were never
-- written to.
DROP TABLE events;
DROP TABLE subscriptions;
DROP TABLE reactions;
DROP TABLE attempts_waiting;
DROP TABLE dead_letters;
DROP TABLE contracts;

-- The event log; positions are never used twice.
CREATE TABLE events (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  key TEXT NOT NULL,
  slot INTEGER NOT NULL,
  correlation_id TEXT NOT NULL,
  causation_id TEXT,
  publisher TEXT,
  hops INTEGER NOT NULL,
  traceparent TEXT,
  time INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  codec TEXT NOT NULL,
  data BLOB NOT NULL
);

CREATE UNIQUE INDEX events_id ON events (id, source);

-- Whether a wait is fulfilled is answered by this index alone.
CREATE INDEX events_type ON events (type, key, position, recorded_at);

-- The position is this index's own tail.
CREATE INDEX events_correlation ON events (correlation_id);

-- What is old enough to be forgotten.
CREATE INDEX events_recorded ON events (recorded_at);

-- How far each reaction, each workflow that events start, and each replay has come in the log.
CREATE TABLE subscriptions (
  number INTEGER PRIMARY KEY,
  service TEXT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  lane TEXT NOT NULL,
  replay INTEGER NOT NULL,
  position INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  until INTEGER,
  publishes INTEGER NOT NULL,
  event_key TEXT,
  first INTEGER NOT NULL
);

CREATE UNIQUE INDEX subscriptions_name ON subscriptions (name, replay);

-- The inbox: one row for each event that a reaction has taken. `key` comes from the same sequence as
-- the executions' keys, so that the journal holds the failed attempts of both. Marks are appended
-- at the end of the table, whoever sets them: the position comes first in its key.
CREATE TABLE reactions (
  subscription INTEGER NOT NULL,
  position INTEGER NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  key INTEGER,
  attempts INTEGER NOT NULL,
  due_at INTEGER,
  PRIMARY KEY (position, subscription)
) WITHOUT ROWID;

-- Highest keys are looked for at every start; keys are rare here.
CREATE INDEX reactions_key ON reactions (key) WHERE key IS NOT NULL;

-- Events that a reaction gave up on; later events of the key wait behind them.
CREATE TABLE dead_letters (
  subscription INTEGER NOT NULL,
  position INTEGER NOT NULL,
  service TEXT NOT NULL,
  lane TEXT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  event_key TEXT NOT NULL,
  correlation_id TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  died_at INTEGER NOT NULL,
  cause TEXT NOT NULL,
  codec TEXT NOT NULL,
  error BLOB NOT NULL,
  PRIMARY KEY (subscription, position)
) WITHOUT ROWID;

CREATE INDEX dead_letters_cause ON dead_letters (name, cause, died_at);

-- Keys whose events, from a position on, have to be looked at again: one of them failed.
CREATE TABLE holds (
  service TEXT NOT NULL,
  lane TEXT NOT NULL,
  event_key TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (service, lane, event_key)
) WITHOUT ROWID;

CREATE INDEX holds_key ON holds (event_key, position);

-- What workflows wait for.
CREATE TABLE event_waits (
  execution_key INTEGER NOT NULL,
  wait INTEGER NOT NULL,
  execution_id TEXT NOT NULL,
  type TEXT NOT NULL,
  event_key TEXT NOT NULL,
  position INTEGER NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (execution_key, wait)
) WITHOUT ROWID;

CREATE INDEX event_waits_key ON event_waits (type, event_key);

-- What was really published.
CREATE TABLE contracts (
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  service TEXT NOT NULL,
  key_field TEXT NOT NULL,
  schema TEXT NOT NULL,
  published_at INTEGER NOT NULL,
  PRIMARY KEY (type, version)
) WITHOUT ROWID;
