-- Tokens of a user that were issued before this time are refused.

ALTER TABLE users ADD COLUMN tokens_revoked_at INTEGER;
