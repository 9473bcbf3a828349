-- Automatic assignment, and the times of answers in device conversations.

ALTER TABLE conversations ADD COLUMN waiting_since INTEGER;      -- the oldest message of the contact without an answer
ALTER TABLE conversations ADD COLUMN first_response_at INTEGER;  -- since the conversation was opened
ALTER TABLE conversations ADD COLUMN answered_by INTEGER;        -- the author of the first response
-- Whether a system message says that the device is offline, until the device sends again.
ALTER TABLE conversations ADD COLUMN offline_reported INTEGER NOT NULL DEFAULT 0;
CREATE INDEX conversations_open_by_assignee ON conversations (assignee) WHERE state = 'open' AND assignee IS NOT NULL;
CREATE INDEX conversations_by_creation ON conversations (device_id, created_at) WHERE device_id IS NOT NULL;

-- The user of an inbox who was assigned last, in turn.
CREATE TABLE inbox_turns (
    device_id TEXT PRIMARY KEY,
    user_pk   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The answers of the operator side to waiting contacts.
CREATE TABLE inbox_responses (
    pk              INTEGER PRIMARY KEY,
    device_id       TEXT NOT NULL,
    conversation_id INTEGER NOT NULL,
    user_pk         INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    waited_ms       INTEGER NOT NULL,
    is_first        INTEGER NOT NULL
) STRICT;
CREATE INDEX inbox_responses_by_time ON inbox_responses (device_id, at);
CREATE INDEX users_by_role ON users (tenant, upper(role), pk) WHERE role IS NOT NULL;
