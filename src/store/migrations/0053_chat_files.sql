-- Files that users of operator chat uploaded, each with the secret that signs its URL. A file that no message refers to
-- is deleted after a day.
CREATE TABLE chat_files (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    user_pk  INTEGER NOT NULL,
    hash     TEXT NOT NULL,
    filename TEXT NOT NULL,
    secret   BLOB NOT NULL,
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX chat_files_by_hash ON chat_files (hash);
CREATE INDEX chat_files_by_user ON chat_files (user_pk);
CREATE INDEX chat_files_by_time ON chat_files (at);

-- The file of a message of a direct conversation, and its description.
ALTER TABLE chat_messages ADD COLUMN file_id INTEGER;
ALTER TABLE chat_messages ADD COLUMN file_type TEXT;
ALTER TABLE chat_messages ADD COLUMN file_size INTEGER;
CREATE INDEX chat_messages_by_file ON chat_messages (file_id) WHERE file_id IS NOT NULL;
