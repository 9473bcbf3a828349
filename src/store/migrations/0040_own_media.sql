-- The files of a device's own messages, for its quota.
CREATE INDEX messages_own_media ON messages (device_id, media_hash) WHERE from_me = 1 AND media_hash IS NOT NULL;
