-- Whether something is posted to one execution is asked for whenever somebody waits for it.
CREATE INDEX mailbox_execution ON mailbox (execution_id, position);
