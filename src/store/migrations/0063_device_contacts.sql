-- The user that stands for a person or a group of a device. A person has one in all conversations of the device.
CREATE TABLE device_contacts (
    device_id TEXT NOT NULL,
    jid       TEXT NOT NULL,
    user_pk   INTEGER NOT NULL,
    PRIMARY KEY (device_id, jid)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_contacts_by_user ON device_contacts (user_pk);
INSERT INTO device_contacts (device_id, jid, user_pk)
    SELECT device_id, chat_id, contact_user FROM conversations
    WHERE device_id IS NOT NULL AND chat_id IS NOT NULL AND contact_user IS NOT NULL;
