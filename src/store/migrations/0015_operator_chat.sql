-- Operator chat: users, conversations, messages, receipts, notifications and their log.

CREATE TABLE users (
    pk           INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant       TEXT NOT NULL,              -- the name of the identity provider
    id           TEXT NOT NULL,
    name         TEXT,
    avatar       TEXT,
    email        TEXT,
    role         TEXT,
    last_seen_at INTEGER,
    created_at   INTEGER NOT NULL,
    UNIQUE (tenant, id)
) STRICT;

CREATE TABLE conversations (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant          TEXT NOT NULL,
    kind            TEXT NOT NULL,
    low_user        INTEGER,                 -- of a direct conversation: both users, the lower pk first
    high_user       INTEGER,
    last_message_id INTEGER,
    created_at      INTEGER NOT NULL,
    UNIQUE (low_user, high_user)
) STRICT;

CREATE TABLE conversation_members (
    user_pk         INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    unread          INTEGER NOT NULL DEFAULT 0,
    activity        INTEGER NOT NULL DEFAULT 0, -- the newest message, which orders the member's list
    PRIMARY KEY (user_pk, conversation_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversation_members_by_activity ON conversation_members (user_pk, activity, conversation_id);
CREATE INDEX conversation_members_by_conversation ON conversation_members (conversation_id, user_pk);

CREATE TABLE chat_messages (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id INTEGER NOT NULL,
    sender          INTEGER NOT NULL,
    type            TEXT NOT NULL,
    content         TEXT NOT NULL,
    attachment_url  TEXT,
    temp_id         TEXT,                    -- the client's own id, as JSON
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX chat_messages_by_conversation ON chat_messages (conversation_id, id);
CREATE INDEX chat_messages_by_sender ON chat_messages (conversation_id, sender, id);

-- The receipts of each member, as ranges of message ids.
CREATE TABLE chat_receipt_ranges (
    conversation_id INTEGER NOT NULL,
    user_pk         INTEGER NOT NULL,
    level           TEXT NOT NULL,
    first_id        INTEGER NOT NULL,
    last_id         INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_pk, level, first_id)
) STRICT, WITHOUT ROWID;

-- Messages by the client's own id, so that a repeated send stores nothing.
CREATE TABLE chat_send_dedup (
    user_pk         INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    temp_id         TEXT NOT NULL,
    message_id      INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    PRIMARY KEY (user_pk, conversation_id, temp_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX chat_send_dedup_by_time ON chat_send_dedup (at);

CREATE TABLE chat_notifications (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_pk    INTEGER NOT NULL,
    type       TEXT NOT NULL,
    title      TEXT NOT NULL,
    message    TEXT NOT NULL,
    link       TEXT,
    data       TEXT NOT NULL,                -- a JSON object
    created_at INTEGER NOT NULL,
    read_at    INTEGER
) STRICT;
CREATE INDEX chat_notifications_by_user ON chat_notifications (user_pk, id);

-- The log of operator chat. An entry refers to its subject; payloads are encoded when they are emitted.
CREATE TABLE chat_events (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT NOT NULL,
    conversation_id INTEGER,
    user_pk         INTEGER,
    subject         TEXT NOT NULL,           -- JSON
    at              INTEGER NOT NULL
) STRICT;
