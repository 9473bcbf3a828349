-- What messages consist of besides text, what happens to them afterwards, and the files they carry.

ALTER TABLE messages ADD COLUMN content TEXT;            -- JSON of store::content::StoredContent
ALTER TABLE messages ADD COLUMN quoted TEXT;             -- JSON of the message that this one answers
ALTER TABLE messages ADD COLUMN media_hash TEXT;         -- the file, while there is one
ALTER TABLE messages ADD COLUMN edited_at INTEGER;       -- the network's clock; the latest edit counts
ALTER TABLE messages ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0; -- removed here; kept against second copies
CREATE INDEX messages_by_media ON messages (media_hash) WHERE media_hash IS NOT NULL;
CREATE INDEX messages_starred ON messages (device_id, at) WHERE is_starred = 1;

CREATE TABLE reactions (
    message_pk INTEGER NOT NULL REFERENCES messages (pk) ON DELETE CASCADE,
    sender     TEXT NOT NULL,
    emoji      TEXT NOT NULL,               -- empty: taken back, kept for its time
    from_me    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (message_pk, sender)
) STRICT, WITHOUT ROWID;

CREATE TABLE poll_votes (
    message_pk INTEGER NOT NULL REFERENCES messages (pk) ON DELETE CASCADE,
    voter      TEXT NOT NULL,
    options    TEXT NOT NULL,               -- JSON list; empty: taken back
    at         INTEGER NOT NULL,
    PRIMARY KEY (message_pk, voter)
) STRICT, WITHOUT ROWID;

-- Files by their content. A row exists only while the file does.
CREATE TABLE media (
    hash          TEXT PRIMARY KEY,
    mimetype      TEXT NOT NULL,
    filesize      INTEGER NOT NULL,
    duration      REAL,
    width         INTEGER,
    height        INTEGER,
    has_thumbnail INTEGER NOT NULL,
    stored_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX media_by_age ON media (stored_at);

-- What a device's clients have uploaded and may send by its id.
CREATE TABLE uploads (
    id        TEXT PRIMARY KEY,
    device_id TEXT NOT NULL,
    hash      TEXT NOT NULL,
    filename  TEXT,
    at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_device ON uploads (device_id, at);
CREATE INDEX uploads_by_hash ON uploads (hash);
CREATE INDEX uploads_by_age ON uploads (at);

-- What signs the addresses of a device's files. Changing it makes all earlier ones void.
ALTER TABLE devices ADD COLUMN media_secret BLOB;

ALTER TABLE chats ADD COLUMN muted_until INTEGER;        -- while muted; for ever when NULL

CREATE TABLE groups (
    device_id   TEXT NOT NULL,
    id          TEXT NOT NULL,
    subject     TEXT NOT NULL,
    description TEXT,
    owner       TEXT,
    created_at  INTEGER,
    PRIMARY KEY (device_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE group_members (
    device_id TEXT NOT NULL,
    group_id  TEXT NOT NULL,
    member    TEXT NOT NULL,
    role      TEXT NOT NULL,
    PRIMARY KEY (device_id, group_id, member)
) STRICT, WITHOUT ROWID;

-- What can be searched: the text, and what else people see of a message. The device stands in the index, so
-- that a word that is common on other devices costs this one nothing.
ALTER TABLE messages ADD COLUMN extra_text TEXT;
DROP TRIGGER messages_text_insert;
DROP TRIGGER messages_text_delete;
DROP TRIGGER messages_text_update;
DROP TABLE messages_text;
CREATE VIRTUAL TABLE messages_text USING fts5 (
    device_id, body, extra_text,
    content = 'messages', content_rowid = 'pk', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER messages_text_insert AFTER INSERT ON messages BEGIN
    INSERT INTO messages_text (rowid, device_id, body, extra_text)
        VALUES (new.pk, new.device_id, new.body, new.extra_text);
END;
CREATE TRIGGER messages_text_delete AFTER DELETE ON messages BEGIN
    INSERT INTO messages_text (messages_text, rowid, device_id, body, extra_text)
        VALUES ('delete', old.pk, old.device_id, old.body, old.extra_text);
END;
CREATE TRIGGER messages_text_update AFTER UPDATE OF body, extra_text ON messages BEGIN
    INSERT INTO messages_text (messages_text, rowid, device_id, body, extra_text)
        VALUES ('delete', old.pk, old.device_id, old.body, old.extra_text);
    INSERT INTO messages_text (rowid, device_id, body, extra_text)
        VALUES (new.pk, new.device_id, new.body, new.extra_text);
END;
INSERT INTO messages_text (messages_text) VALUES ('rebuild');
