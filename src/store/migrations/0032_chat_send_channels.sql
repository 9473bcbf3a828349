-- Sends of clients that send each message as an event and as a REST call, until the other one arrives. The content is a
-- digest, because a device conversation has no second copy of a body.
CREATE TABLE chat_channel_sends (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    user_pk         INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    channel         TEXT NOT NULL,               -- socket, rest
    digest          BLOB NOT NULL,               -- SHA-256 of the content
    at              INTEGER NOT NULL
) STRICT;
CREATE INDEX chat_channel_sends_by_content ON chat_channel_sends (user_pk, conversation_id, channel, digest, id);
CREATE INDEX chat_channel_sends_by_time ON chat_channel_sends (at);
