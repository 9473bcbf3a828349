-- Sessions of operator chat that a client can recover after it lost its connection, and the conversations that each
-- joined. A session has no end while its socket is connected.

CREATE TABLE chat_sessions (
    pk            INTEGER PRIMARY KEY AUTOINCREMENT,
    pid_hash      BLOB NOT NULL UNIQUE,      -- SHA-256 of the private id, which only the client has
    user_pk       INTEGER NOT NULL,
    dialect       TEXT NOT NULL,
    started_after INTEGER NOT NULL,          -- the position of the chat log at its begin
    closed_at     INTEGER
) STRICT;
CREATE INDEX chat_sessions_by_user ON chat_sessions (user_pk, closed_at);
CREATE INDEX chat_sessions_by_end ON chat_sessions (closed_at);

CREATE TABLE chat_session_rooms (
    session_pk      INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    joined_after    INTEGER NOT NULL,        -- the position of the chat log at the join
    by_peer         INTEGER NOT NULL,        -- 1: joined by the id of the other user
    PRIMARY KEY (session_pk, conversation_id)
) STRICT, WITHOUT ROWID;
