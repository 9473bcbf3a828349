-- Chats that are being emptied, while that takes more than one write: goes on after a crash.
CREATE TABLE clearings (
    id           INTEGER PRIMARY KEY,
    device_id    TEXT NOT NULL,
    chat_id      TEXT NOT NULL,
    up_to        INTEGER NOT NULL,          -- the last message that goes
    keep_starred INTEGER NOT NULL,
    deletes      INTEGER NOT NULL           -- 1 where the chat goes as well
) STRICT;

-- What was done here and the network has not been told: goes out, in order, once the device is ready.
CREATE TABLE untold (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id TEXT NOT NULL,
    chat_id   TEXT NOT NULL,
    kind      TEXT NOT NULL,                -- what a later one of the same chat takes the place of
    payload   TEXT NOT NULL,                -- JSON of store::untold::Untold
    at        INTEGER NOT NULL
) STRICT;
CREATE INDEX untold_by_device ON untold (device_id, id);
CREATE INDEX untold_by_kind ON untold (device_id, chat_id, kind);
