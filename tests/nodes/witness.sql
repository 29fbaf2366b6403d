-- What the proofs add to a store's schema: a table of who wrote what, and when, and who had a right to.
--
-- {schema} is the store's schema, {witness} one beside it. A process names itself in
-- `application_name`; the rest is looked up in the transaction that writes.

CREATE SCHEMA {witness};

CREATE TABLE {witness}.written (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at bigint NOT NULL DEFAULT extract(epoch FROM clock_timestamp()) * 1000000,
  writer text NOT NULL DEFAULT current_setting('application_name'),
  what text NOT NULL,
  key bigint NOT NULL,
  part bigint NOT NULL,
  owner bigint
);

-- A row of a journal: execution, first number, owner of the execution.
CREATE FUNCTION {witness}.journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {witness}.written (what, key, part, owner)
  SELECT 'journal', added.execution_key, added.first_seq, executions.owner
  FROM added LEFT JOIN {schema}.executions ON executions.key = added.execution_key;
  RETURN NULL;
END $$;

CREATE TRIGGER witnessed AFTER INSERT ON {schema}.journal REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION {witness}.journal();

-- An event: position.
CREATE FUNCTION {witness}.events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {witness}.written (what, key, part) SELECT 'event', position, 0 FROM added;
  RETURN NULL;
END $$;

CREATE TRIGGER witnessed AFTER INSERT ON {schema}.events REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION {witness}.events();

-- A mark of the inbox: position, subscription, owner of the event's slot.
CREATE FUNCTION {witness}.reactions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {witness}.written (what, key, part, owner)
  SELECT CASE added.status WHEN 'completed' THEN 'mark' ELSE 'try' END,
    added.position, added.subscription, slots.owner
  FROM added
  LEFT JOIN {schema}.events ON events.position = added.position
  LEFT JOIN {schema}.subscriptions ON subscriptions.number = added.subscription
  LEFT JOIN {schema}.slots ON slots.service = subscriptions.service AND slots.slot = events.slot;
  RETURN NULL;
END $$;

CREATE TRIGGER witnessed_new AFTER INSERT ON {schema}.reactions REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION {witness}.reactions();

CREATE TRIGGER witnessed_again AFTER UPDATE ON {schema}.reactions REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION {witness}.reactions();

-- An execution that changes hands: execution, the owner before, the owner now.
CREATE FUNCTION {witness}.owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {witness}.written (what, key, part, owner)
  VALUES ('adopted', NEW.key, coalesce(OLD.owner, 0), NEW.owner);
  RETURN NULL;
END $$;

CREATE TRIGGER witnessed AFTER UPDATE ON {schema}.executions
  FOR EACH ROW WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION {witness}.owner();

-- A letter: position.
CREATE FUNCTION {witness}.mailbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {witness}.written (what, key, part) SELECT 'letter', position, 0 FROM added;
  RETURN NULL;
END $$;

CREATE TRIGGER witnessed AFTER INSERT ON {schema}.mailbox REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION {witness}.mailbox();

-- A slot that somebody takes: slot, its owner now.
CREATE FUNCTION {witness}.slots() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO {witness}.written (what, key, part, owner)
  SELECT 'slot', slot, 0, owner FROM added WHERE owner IS NOT NULL;
  RETURN NULL;
END $$;

CREATE TRIGGER witnessed_new AFTER INSERT ON {schema}.slots REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION {witness}.slots();

CREATE TRIGGER witnessed_again AFTER UPDATE ON {schema}.slots REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION {witness}.slots();
