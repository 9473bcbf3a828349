-- How far a device's log was looked through for what is told to people, and the newest revision of its notifications.
CREATE TABLE notify_positions (
    device_id TEXT PRIMARY KEY,
    seq       INTEGER NOT NULL,
    rev       INTEGER NOT NULL DEFAULT 0
) STRICT;
-- What happened before there were notifications is not news.
INSERT INTO notify_positions (device_id, seq) SELECT device_id, last_seq FROM log_heads;

-- The newest notifications of each device. One that grows gets a new rev.
CREATE TABLE notifications (
    device_id TEXT NOT NULL,
    id        TEXT NOT NULL,
    rev       INTEGER NOT NULL,
    tag       TEXT NOT NULL,
    last_seq  INTEGER NOT NULL,              -- the last entry of the log that is in it
    chat_id   TEXT,
    at        INTEGER NOT NULL,
    body      TEXT NOT NULL,                 -- JSON of what is shown
    PRIMARY KEY (device_id, id)
) STRICT;
CREATE INDEX notifications_by_rev ON notifications (device_id, rev);

-- What each operator has read: all up to a rev, and single ones after it.
CREATE TABLE notification_marks (
    operator  TEXT NOT NULL,
    device_id TEXT NOT NULL,
    rev       INTEGER NOT NULL,
    PRIMARY KEY (operator, device_id)
) STRICT;
CREATE TABLE notification_reads (
    operator  TEXT NOT NULL,
    device_id TEXT NOT NULL,
    id        TEXT NOT NULL,
    rev       INTEGER NOT NULL,
    PRIMARY KEY (operator, device_id, id)
) STRICT;

-- What is not told. Operator '': to nobody. Device '': of all devices. Chat '': of all chats. No end: for ever.
CREATE TABLE notification_mutes (
    operator   TEXT NOT NULL,
    device_id  TEXT NOT NULL,
    chat_id    TEXT NOT NULL,
    ends_at    INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (operator, device_id, chat_id)
) STRICT;

CREATE TABLE notification_rules (
    pk         INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    device_id  TEXT NOT NULL,                -- '' for all devices
    declared   INTEGER NOT NULL,             -- whether the device's file has it
    spec       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Browsers that asked for pushes. The address is a secret: whoever has it can push.
CREATE TABLE push_subscriptions (
    pk         INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    operator   TEXT NOT NULL,
    key_id     TEXT NOT NULL,                -- the key that it was made with, whose end is its end
    digest     BLOB NOT NULL UNIQUE,         -- of its address
    origin     TEXT NOT NULL,                -- of its address: what is shown
    devices    TEXT NOT NULL,                -- JSON; of all devices that the key reaches, when null
    label      TEXT NOT NULL,
    target     BLOB NOT NULL,
    sealed     INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Secrets of the daemon itself, sealed as the vault is.
CREATE TABLE own_secrets (
    name   TEXT PRIMARY KEY,
    value  BLOB NOT NULL,
    sealed INTEGER NOT NULL
) STRICT;
