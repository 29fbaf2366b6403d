-- Whom a letter needs where no execution says so: a start's workflow, or the service of an act on a
-- dead letter, and the slot of its key there.
ALTER TABLE mailbox ADD COLUMN about TEXT;
ALTER TABLE mailbox ADD COLUMN slot INTEGER;
