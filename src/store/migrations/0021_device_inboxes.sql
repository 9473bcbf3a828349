-- Device inboxes: conversations that are bound to a chat of a device, and who may use them.

ALTER TABLE conversations ADD COLUMN device_id TEXT;
ALTER TABLE conversations ADD COLUMN chat_id TEXT;
ALTER TABLE conversations ADD COLUMN contact_user INTEGER;  -- the user that stands for the contact
CREATE UNIQUE INDEX conversations_by_chat ON conversations (device_id, chat_id) WHERE device_id IS NOT NULL;
CREATE INDEX conversations_by_device ON conversations (device_id, last_message_id) WHERE device_id IS NOT NULL;
CREATE INDEX conversations_by_contact ON conversations (contact_user) WHERE contact_user IS NOT NULL;

-- A message of a device conversation refers to the device's message; its own content is empty. The number of a
-- deleted message may be used again, so the reference ends with it.
ALTER TABLE chat_messages ADD COLUMN message_pk INTEGER REFERENCES messages (pk) ON DELETE SET NULL;
CREATE UNIQUE INDEX chat_messages_by_device_message ON chat_messages (message_pk);

CREATE TABLE inbox_grants (
    device_id TEXT NOT NULL,
    position  INTEGER NOT NULL,
    who       TEXT NOT NULL,                 -- <identity>:<user id>, or <identity>:role:<role>
    rights    TEXT NOT NULL,
    PRIMARY KEY (device_id, position)
) STRICT, WITHOUT ROWID;
