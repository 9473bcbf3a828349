-- Chats that are being emptied, while that takes more than one write: goes on after a crash.
CREATE TABLE clearings (
    id           INTEGER PRIMARY KEY,
    device_id    TEXT NOT NULL,
    chat_id      TEXT NOT NULL,
    up_to        INTEGER NOT NULL,          -- the last message that goes
    keep_starred INTEGER NOT NULL,
    deletes      INTEGER NOT NULL           -- 1 where the chat goes as well
) STRICT;
