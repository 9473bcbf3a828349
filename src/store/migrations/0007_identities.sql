-- Messages that name somebody by a hidden id whose number was not known when they were stored. Once it is,
-- they are settled from here, a few at a time; what is left of that goes on after a crash.
CREATE TABLE unsettled (
    device_id  TEXT NOT NULL,
    lid        TEXT NOT NULL,
    message_pk INTEGER NOT NULL REFERENCES messages (pk) ON DELETE CASCADE,
    PRIMARY KEY (device_id, lid, message_pk)
) STRICT, WITHOUT ROWID;
CREATE INDEX unsettled_by_message ON unsettled (message_pk);
INSERT OR IGNORE INTO unsettled (device_id, lid, message_pk)
    SELECT device_id, chat_id, pk FROM messages WHERE chat_id LIKE '%@lid' AND chat_id NOT LIKE '000%' UNION
    SELECT device_id, from_jid, pk FROM messages WHERE from_jid LIKE '%@lid' AND from_jid NOT LIKE '000%' UNION
    SELECT device_id, author, pk FROM messages WHERE author LIKE '%@lid' AND author NOT LIKE '000%';

CREATE INDEX group_members_by_member ON group_members (device_id, member);
