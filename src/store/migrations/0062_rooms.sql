-- Rooms: conversations with a title and many members. A deleted one has no members, and loses its messages in steps.
ALTER TABLE conversations ADD COLUMN title TEXT;
ALTER TABLE conversations ADD COLUMN member_count INTEGER NOT NULL DEFAULT 0;  -- of a room
ALTER TABLE conversations ADD COLUMN members_version INTEGER NOT NULL DEFAULT 0;  -- a new random number with each change of the members
ALTER TABLE conversations ADD COLUMN deleted_at INTEGER;
CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;
-- Lists of an API key that is for all devices.
CREATE INDEX conversations_of_users ON conversations (last_message_id, id) WHERE device_id IS NULL;
-- Of a room: owner or member. Its members have neither an unread count nor an activity, so that a message costs the same
-- in each room; a negative activity is the newest message when the member removed the room from the list, less than -1.
ALTER TABLE conversation_members ADD COLUMN role TEXT;
CREATE INDEX conversation_members_of_rooms ON conversation_members (user_pk, conversation_id) WHERE role IS NOT NULL;

-- Up to and including this message a member has receipts for everything, so that a mark does not read earlier ranges.
CREATE TABLE chat_receipts_through (
    conversation_id INTEGER NOT NULL,
    user_pk         INTEGER NOT NULL,
    level           TEXT NOT NULL,
    message_id      INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_pk, level)
) STRICT, WITHOUT ROWID;
CREATE INDEX chat_receipt_ranges_by_end ON chat_receipt_ranges (conversation_id, user_pk, level, last_id, first_id, at);
