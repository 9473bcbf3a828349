-- The namespace dialect: the type of a user, and the file name of an attachment.

ALTER TABLE users ADD COLUMN user_type TEXT;
ALTER TABLE chat_messages ADD COLUMN attachment_name TEXT;
