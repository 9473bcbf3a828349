-- The number of deleted devices of an id that a key or push subscription named. A grant stores the number at its
-- creation, so that it ends with its device.
CREATE TABLE device_generations (
    device_id  TEXT PRIMARY KEY,
    generation INTEGER NOT NULL
) STRICT;

-- The id of the key that created it; NULL for the first key and older ones.
ALTER TABLE api_keys ADD COLUMN created_by TEXT;

-- One row, which each readiness check writes.
CREATE TABLE readiness (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
