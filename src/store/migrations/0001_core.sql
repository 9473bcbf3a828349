-- Devices, their logs and what they carry. Times are milliseconds since the epoch, UTC.

CREATE TABLE devices (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    engine        TEXT NOT NULL,
    settings      TEXT NOT NULL,            -- JSON object
    declared      TEXT NOT NULL,            -- JSON list of the fields that a file sets
    state         TEXT NOT NULL,            -- JSON of domain::state::State
    phone_number  TEXT,
    client_name   TEXT,
    last_seen     INTEGER,
    created_at    INTEGER NOT NULL
) STRICT;

-- Data of a deleted device that is still being removed, a batch at a time. The id is taken until then.
CREATE TABLE purges (
    device_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Outlives the device and its events: a seq is never used twice.
CREATE TABLE log_heads (
    device_id TEXT PRIMARY KEY,
    last_seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    device_id TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    type      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    payload   TEXT NOT NULL,                -- JSON, as it goes over the wire
    PRIMARY KEY (device_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_by_age ON events (at);

CREATE TABLE messages (
    pk              INTEGER PRIMARY KEY,
    device_id       TEXT NOT NULL,
    id              TEXT NOT NULL,          -- <fromMe>_<chat>_<network id>[_<participant>]
    chat_id         TEXT NOT NULL,
    from_jid        TEXT NOT NULL,
    to_jid          TEXT NOT NULL,
    author          TEXT,
    from_me         INTEGER NOT NULL,
    body            TEXT NOT NULL,
    type            TEXT NOT NULL,
    at              INTEGER NOT NULL,       -- the network's clock
    stored_at       INTEGER NOT NULL,       -- our clock
    ack             INTEGER NOT NULL,
    status          TEXT NOT NULL,
    failure_code    TEXT,
    failure_message TEXT,
    unread          INTEGER NOT NULL,
    is_forwarded    INTEGER NOT NULL DEFAULT 0,
    is_starred      INTEGER NOT NULL DEFAULT 0,
    is_edited       INTEGER NOT NULL DEFAULT 0,
    notify_name     TEXT,
    temp_id         TEXT,
    UNIQUE (device_id, id)                  -- this is the deduplication
) STRICT;
CREATE INDEX messages_by_chat ON messages (device_id, chat_id, at, pk);
CREATE INDEX messages_unread ON messages (device_id, chat_id, pk) WHERE unread = 1;
CREATE INDEX messages_by_age ON messages (stored_at);

CREATE VIRTUAL TABLE messages_text USING fts5 (
    body, content = 'messages', content_rowid = 'pk', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER messages_text_insert AFTER INSERT ON messages BEGIN
    INSERT INTO messages_text (rowid, body) VALUES (new.pk, new.body);
END;
CREATE TRIGGER messages_text_delete AFTER DELETE ON messages BEGIN
    INSERT INTO messages_text (messages_text, rowid, body) VALUES ('delete', old.pk, old.body);
END;
CREATE TRIGGER messages_text_update AFTER UPDATE OF body ON messages BEGIN
    INSERT INTO messages_text (messages_text, rowid, body) VALUES ('delete', old.pk, old.body);
    INSERT INTO messages_text (rowid, body) VALUES (new.pk, new.body);
END;

CREATE TABLE receipts (
    message_pk  INTEGER NOT NULL REFERENCES messages (pk) ON DELETE CASCADE,
    participant TEXT NOT NULL,
    ack         INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (message_pk, participant)
) STRICT, WITHOUT ROWID;

CREATE TABLE chats (
    device_id       TEXT NOT NULL,
    id              TEXT NOT NULL,
    name            TEXT,
    unread          INTEGER NOT NULL DEFAULT 0,
    pinned          INTEGER NOT NULL DEFAULT 0,
    archived        INTEGER NOT NULL DEFAULT 0,
    muted           INTEGER NOT NULL DEFAULT 0,
    last_message_pk INTEGER,
    at              INTEGER NOT NULL,
    PRIMARY KEY (device_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX chats_by_time ON chats (device_id, pinned DESC, at DESC, id);

-- One row a person, with all the identifiers that are known of them.
CREATE TABLE contacts (
    device_id         TEXT NOT NULL,
    id                TEXT NOT NULL,
    address_book_name TEXT,
    pushname          TEXT,
    number            TEXT,
    lid               TEXT,
    PRIMARY KEY (device_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX contacts_by_lid ON contacts (device_id, lid) WHERE lid IS NOT NULL;

CREATE TABLE outbox (
    row           INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id     TEXT NOT NULL,
    message_pk    INTEGER NOT NULL UNIQUE REFERENCES messages (pk) ON DELETE CASCADE,
    chat_id       TEXT NOT NULL,
    priority      INTEGER NOT NULL,
    due           INTEGER NOT NULL,
    retry_at      INTEGER,
    attempts      INTEGER NOT NULL DEFAULT 0,
    sending_since INTEGER                   -- set while the network's answer is not known
) STRICT;
CREATE INDEX outbox_by_device ON outbox (device_id, row);

CREATE TABLE idempotency (
    device_id   TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    message_id  TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (device_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (at);

-- What happened in each hour: device lists, health and statistics never count whole tables.
CREATE TABLE activity (
    device_id      TEXT NOT NULL,
    hour           INTEGER NOT NULL,        -- the hour's first millisecond
    received       INTEGER NOT NULL DEFAULT 0,
    sent           INTEGER NOT NULL DEFAULT 0,
    failed         INTEGER NOT NULL DEFAULT 0,
    disconnections INTEGER NOT NULL DEFAULT 0,
    response_ms    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE totals (
    device_id     TEXT PRIMARY KEY,
    received      INTEGER NOT NULL DEFAULT 0,
    sent          INTEGER NOT NULL DEFAULT 0,
    last_activity INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL,             -- SHA-256 of the secret
    scopes       TEXT NOT NULL,             -- JSON list
    devices      TEXT,                      -- JSON list; all devices when NULL
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER
) STRICT;

CREATE TABLE vault (
    device_id TEXT NOT NULL,
    space     TEXT NOT NULL,
    key       TEXT NOT NULL,
    value     BLOB NOT NULL,
    PRIMARY KEY (device_id, space, key)
) STRICT, WITHOUT ROWID;
