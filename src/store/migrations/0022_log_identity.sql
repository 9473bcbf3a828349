-- The id of the event logs. It changes when the database is replaced by an older copy.
CREATE TABLE log_identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    log_id TEXT NOT NULL
);
