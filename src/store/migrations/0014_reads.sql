-- Reads whose cost does not depend on the number of stored messages.

-- Hidden messages have a range of their own: a page of a cleared chat does not pass them.
DROP INDEX messages_by_chat;
CREATE INDEX messages_by_chat ON messages (device_id, chat_id, hidden, at, pk);

-- The number of visible messages of each chat.
CREATE TABLE chat_sizes (
    device_id TEXT NOT NULL,
    chat_id   TEXT NOT NULL,
    messages  INTEGER NOT NULL,
    PRIMARY KEY (device_id, chat_id)
) STRICT, WITHOUT ROWID;
INSERT INTO chat_sizes (device_id, chat_id, messages)
    SELECT device_id, chat_id, count(*) FROM messages WHERE hidden = 0 GROUP BY device_id, chat_id;
CREATE TRIGGER chat_sizes_insert AFTER INSERT ON messages WHEN new.hidden = 0 BEGIN
    INSERT INTO chat_sizes (device_id, chat_id, messages) VALUES (new.device_id, new.chat_id, 1)
        ON CONFLICT (device_id, chat_id) DO UPDATE SET messages = messages + 1;
END;
CREATE TRIGGER chat_sizes_delete AFTER DELETE ON messages WHEN old.hidden = 0 BEGIN
    UPDATE chat_sizes SET messages = messages - 1 WHERE device_id = old.device_id AND chat_id = old.chat_id;
END;
CREATE TRIGGER chat_sizes_hide AFTER UPDATE OF hidden ON messages WHEN new.hidden <> old.hidden BEGIN
    UPDATE chat_sizes SET messages = messages + old.hidden - new.hidden
        WHERE device_id = old.device_id AND chat_id = old.chat_id;
END;
CREATE TRIGGER chat_sizes_move AFTER UPDATE OF chat_id ON messages
    WHEN new.chat_id <> old.chat_id AND new.hidden = 0 BEGIN
    UPDATE chat_sizes SET messages = messages - 1 WHERE device_id = old.device_id AND chat_id = old.chat_id;
    INSERT INTO chat_sizes (device_id, chat_id, messages) VALUES (new.device_id, new.chat_id, 1)
        ON CONFLICT (device_id, chat_id) DO UPDATE SET messages = messages + 1;
END;

-- The search index. Its key orders by the second of a message, then by arrival, so that a search finds the newest
-- first and stops: bits 31 to 62 are the second, bits 0 to 30 are messages.pk. The column scope has one word each for
-- the device, the chat and the type; hexadecimal keeps each a single word.
DROP TRIGGER messages_text_insert;
DROP TRIGGER messages_text_delete;
DROP TRIGGER messages_text_update;
DROP TABLE messages_text;
CREATE VIRTUAL TABLE messages_text USING fts5 (
    scope, body, extra_text,
    content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER messages_text_insert AFTER INSERT ON messages BEGIN
    INSERT INTO messages_text (rowid, scope, body, extra_text)
        VALUES ((((new.at / 1000) & 4294967295) << 31) | new.pk,
            'd' || hex(new.device_id) || ' c' || hex(new.device_id || '/' || new.chat_id) || ' t' || hex(new.type),
            new.body, new.extra_text);
END;
CREATE TRIGGER messages_text_delete AFTER DELETE ON messages BEGIN
    DELETE FROM messages_text WHERE rowid = (((old.at / 1000) & 4294967295) << 31) | old.pk;
END;
CREATE TRIGGER messages_text_update AFTER UPDATE OF body, extra_text, chat_id, type ON messages BEGIN
    DELETE FROM messages_text WHERE rowid = (((old.at / 1000) & 4294967295) << 31) | old.pk;
    INSERT INTO messages_text (rowid, scope, body, extra_text)
        SELECT (((new.at / 1000) & 4294967295) << 31) | new.pk,
            'd' || hex(new.device_id) || ' c' || hex(new.device_id || '/' || new.chat_id) || ' t' || hex(new.type),
            new.body, new.extra_text
        WHERE new.body <> '' OR new.extra_text IS NOT NULL;
END;
INSERT INTO messages_text (rowid, scope, body, extra_text)
    SELECT (((at / 1000) & 4294967295) << 31) | pk,
        'd' || hex(device_id) || ' c' || hex(device_id || '/' || chat_id) || ' t' || hex(type),
        body, extra_text
    FROM messages ORDER BY 1;

-- The number of queued messages of each device: a send checks it against the limit.
CREATE TABLE outbox_sizes (
    device_id TEXT PRIMARY KEY,
    messages  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO outbox_sizes (device_id, messages) SELECT device_id, count(*) FROM outbox GROUP BY device_id;
CREATE TRIGGER outbox_sizes_insert AFTER INSERT ON outbox BEGIN
    INSERT INTO outbox_sizes (device_id, messages) VALUES (new.device_id, 1)
        ON CONFLICT (device_id) DO UPDATE SET messages = messages + 1;
END;
CREATE TRIGGER outbox_sizes_delete AFTER DELETE ON outbox BEGIN
    UPDATE outbox_sizes SET messages = messages - 1 WHERE device_id = old.device_id;
END;
