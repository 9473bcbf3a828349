-- What happened to messages that are not here yet: networks tell in no order.
CREATE TABLE early_changes (
    pk INTEGER PRIMARY KEY,
    device_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    change TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (device_id, message_id, change)
) STRICT;
