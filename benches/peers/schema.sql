-- The rows that one message costs: those of the daemon (src/store/migrations), without what the benches do not use.
-- The Node peer and the floor of SQLite write them. Times are milliseconds since the epoch.

CREATE TABLE devices (
    id         TEXT PRIMARY KEY,
    settings   TEXT NOT NULL,               -- JSON object
    state      TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE log_heads (
    device_id TEXT PRIMARY KEY,
    last_seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    device_id TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    type      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    payload   TEXT NOT NULL,
    PRIMARY KEY (device_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_by_age ON events (at);

CREATE TABLE messages (
    pk          INTEGER PRIMARY KEY,
    device_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    chat_id     TEXT NOT NULL,
    from_jid    TEXT NOT NULL,
    to_jid      TEXT NOT NULL,
    author      TEXT,
    from_me     INTEGER NOT NULL,
    body        TEXT NOT NULL,
    type        TEXT NOT NULL,
    at          INTEGER NOT NULL,
    stored_at   INTEGER NOT NULL,
    ack         INTEGER NOT NULL,
    status      TEXT NOT NULL,
    unread      INTEGER NOT NULL,
    notify_name TEXT,
    UNIQUE (device_id, id)
) STRICT;
CREATE INDEX messages_by_chat ON messages (device_id, chat_id, at, pk);
CREATE INDEX messages_unread ON messages (device_id, chat_id, pk) WHERE unread = 1;
CREATE INDEX messages_by_age ON messages (stored_at);

-- The device is in the index, so that a search counts matches without reading messages.
CREATE VIRTUAL TABLE messages_text USING fts5 (
    device_id, body, content = 'messages', content_rowid = 'pk', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER messages_text_insert AFTER INSERT ON messages BEGIN
    INSERT INTO messages_text (rowid, device_id, body) VALUES (new.pk, new.device_id, new.body);
END;

CREATE TABLE chat_sizes (
    device_id TEXT NOT NULL,
    chat_id   TEXT NOT NULL,
    messages  INTEGER NOT NULL,
    PRIMARY KEY (device_id, chat_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER chat_sizes_insert AFTER INSERT ON messages BEGIN
    INSERT INTO chat_sizes (device_id, chat_id, messages) VALUES (new.device_id, new.chat_id, 1)
        ON CONFLICT (device_id, chat_id) DO UPDATE SET messages = messages + 1;
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

CREATE TABLE contacts (
    device_id         TEXT NOT NULL,
    id                TEXT NOT NULL,
    address_book_name TEXT,
    pushname          TEXT,
    number            TEXT,
    PRIMARY KEY (device_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    row           INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id     TEXT NOT NULL,
    message_pk    INTEGER NOT NULL UNIQUE REFERENCES messages (pk) ON DELETE CASCADE,
    chat_id       TEXT NOT NULL,
    attempts      INTEGER NOT NULL DEFAULT 0,
    sending_since INTEGER
) STRICT;
CREATE INDEX outbox_by_device ON outbox (device_id, row);

CREATE TABLE outbox_sizes (
    device_id TEXT PRIMARY KEY,
    messages  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER outbox_sizes_insert AFTER INSERT ON outbox BEGIN
    INSERT INTO outbox_sizes (device_id, messages) VALUES (new.device_id, 1)
        ON CONFLICT (device_id) DO UPDATE SET messages = messages + 1;
END;
CREATE TRIGGER outbox_sizes_delete AFTER DELETE ON outbox BEGIN
    UPDATE outbox_sizes SET messages = messages - 1 WHERE device_id = old.device_id;
END;

CREATE TABLE departures (
    device_id  TEXT NOT NULL,
    at         INTEGER NOT NULL,
    message_pk INTEGER NOT NULL,
    chat_id    TEXT NOT NULL,
    opens      INTEGER NOT NULL
) STRICT;
CREATE INDEX departures_by_time ON departures (device_id, at);

CREATE TABLE activity (
    device_id   TEXT NOT NULL,
    hour        INTEGER NOT NULL,
    received    INTEGER NOT NULL DEFAULT 0,
    sent        INTEGER NOT NULL DEFAULT 0,
    response_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE totals (
    device_id     TEXT PRIMARY KEY,
    received      INTEGER NOT NULL DEFAULT 0,
    sent          INTEGER NOT NULL DEFAULT 0,
    last_activity INTEGER
) STRICT, WITHOUT ROWID;
