-- Where events are pushed to. Lists are JSON.
CREATE TABLE webhook_endpoints (
    pk              INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL UNIQUE,
    device_id       TEXT NOT NULL,          -- '' for the events of all devices
    declared        TEXT,                   -- its name in the device's file
    name            TEXT NOT NULL,
    url             TEXT NOT NULL,          -- as it is shown; the whole of it is among the secrets
    events          TEXT NOT NULL,
    exclude         TEXT NOT NULL,
    format          TEXT NOT NULL,
    ordering        TEXT NOT NULL,
    header_names    TEXT NOT NULL,
    timeout_ms      INTEGER,
    custom_ca       TEXT,
    secrets         BLOB NOT NULL,          -- JSON of domain::webhook::EndpointSecrets
    sealed          INTEGER NOT NULL,       -- whether they are sealed as the vault is
    disabled_reason TEXT,
    disabled_at     INTEGER,
    ending          INTEGER NOT NULL DEFAULT 0, -- 1: goes once nothing waits for it; 2: goes
    failing_since   INTEGER,
    failed_at       INTEGER,
    delivered_at    INTEGER,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_endpoints_by_device ON webhook_endpoints (device_id);

-- One row for each event and endpoint, until it is delivered. Written with the event.
CREATE TABLE webhook_deliveries (
    pk         INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint   INTEGER NOT NULL REFERENCES webhook_endpoints (pk) ON DELETE CASCADE,
    device_id  TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    kind       TEXT NOT NULL,               -- our name of the event
    name       TEXT NOT NULL,               -- the format's name of it
    lane       TEXT,                        -- what goes one after the other; NULL: this waits for nothing
    due        INTEGER,                     -- NULL: waits for another of its lane
    attempts   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    dead_at    INTEGER,                     -- since when it is tried no more
    payload    TEXT,                        -- only where the event itself had to go
    UNIQUE (device_id, seq, endpoint, name)
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, due, pk) WHERE dead_at IS NULL AND due IS NOT NULL;
CREATE INDEX webhook_deliveries_lanes ON webhook_deliveries (endpoint, lane, pk) WHERE dead_at IS NULL AND lane IS NOT NULL;
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (endpoint, dead_at, pk) WHERE dead_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_death ON webhook_deliveries (dead_at) WHERE dead_at IS NOT NULL;

-- What came of each try.
CREATE TABLE webhook_attempts (
    pk          INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint    INTEGER NOT NULL REFERENCES webhook_endpoints (pk) ON DELETE CASCADE,
    at          INTEGER NOT NULL,
    device_id   TEXT,                       -- NULL for a test
    seq         INTEGER,
    name        TEXT NOT NULL,
    message_id  TEXT NOT NULL,              -- webhook-id
    attempt     INTEGER NOT NULL,
    outcome     TEXT NOT NULL,
    status      INTEGER,
    duration_ms INTEGER NOT NULL,
    next_at     INTEGER
) STRICT;
CREATE INDEX webhook_attempts_by_endpoint ON webhook_attempts (endpoint, pk);
CREATE INDEX webhook_attempts_by_age ON webhook_attempts (at);
