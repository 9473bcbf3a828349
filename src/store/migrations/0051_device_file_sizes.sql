-- Files that clients stored for a device, and their bytes: an upload reads one row instead of a sum over all of them.
-- The device of an upload or message, its direction and the size of a file never change.
CREATE TABLE device_files (
    device_id       TEXT NOT NULL,
    hash            TEXT NOT NULL,
    filesize        INTEGER NOT NULL,
    reference_count INTEGER NOT NULL,           -- uploads and own messages that refer to the file
    PRIMARY KEY (device_id, hash)
) STRICT, WITHOUT ROWID;
INSERT INTO device_files (device_id, hash, filesize, reference_count)
    SELECT r.device_id, r.hash, f.filesize, count(*)
    FROM (SELECT device_id, hash FROM uploads
          UNION ALL SELECT device_id, media_hash FROM messages WHERE from_me = 1 AND media_hash IS NOT NULL) r
    JOIN media f ON f.hash = r.hash
    GROUP BY r.device_id, r.hash, f.filesize;
-- Only the sum needed it.
DROP INDEX messages_own_media;
CREATE TABLE device_file_sizes (
    device_id TEXT PRIMARY KEY,
    bytes     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO device_file_sizes (device_id, bytes) SELECT device_id, sum(filesize) FROM device_files GROUP BY device_id;

CREATE TRIGGER device_file_sizes_insert AFTER INSERT ON device_files BEGIN
    INSERT INTO device_file_sizes (device_id, bytes) VALUES (new.device_id, new.filesize)
        ON CONFLICT (device_id) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER device_file_sizes_delete AFTER DELETE ON device_files BEGIN
    UPDATE device_file_sizes SET bytes = bytes - old.filesize WHERE device_id = old.device_id;
    DELETE FROM device_file_sizes WHERE device_id = old.device_id AND bytes = 0;
END;
CREATE TRIGGER device_files_upload AFTER INSERT ON uploads BEGIN
    INSERT INTO device_files (device_id, hash, filesize, reference_count)
        SELECT new.device_id, f.hash, f.filesize, 1 FROM media f WHERE f.hash = new.hash
        ON CONFLICT (device_id, hash) DO UPDATE SET reference_count = reference_count + 1;
END;
CREATE TRIGGER device_files_upload_delete AFTER DELETE ON uploads BEGIN
    UPDATE device_files SET reference_count = reference_count - 1
        WHERE device_id = old.device_id AND hash = old.hash;
    DELETE FROM device_files WHERE device_id = old.device_id AND hash = old.hash AND reference_count = 0;
END;
CREATE TRIGGER device_files_message AFTER INSERT ON messages
    WHEN new.from_me = 1 AND new.media_hash IS NOT NULL BEGIN
    INSERT INTO device_files (device_id, hash, filesize, reference_count)
        SELECT new.device_id, f.hash, f.filesize, 1 FROM media f WHERE f.hash = new.media_hash
        ON CONFLICT (device_id, hash) DO UPDATE SET reference_count = reference_count + 1;
END;
CREATE TRIGGER device_files_message_delete AFTER DELETE ON messages
    WHEN old.from_me = 1 AND old.media_hash IS NOT NULL BEGIN
    UPDATE device_files SET reference_count = reference_count - 1
        WHERE device_id = old.device_id AND hash = old.media_hash;
    DELETE FROM device_files WHERE device_id = old.device_id AND hash = old.media_hash AND reference_count = 0;
END;
CREATE TRIGGER device_files_message_detach AFTER UPDATE OF media_hash ON messages
    WHEN old.from_me = 1 AND old.media_hash IS NOT NULL AND old.media_hash IS NOT new.media_hash BEGIN
    UPDATE device_files SET reference_count = reference_count - 1
        WHERE device_id = old.device_id AND hash = old.media_hash;
    DELETE FROM device_files WHERE device_id = old.device_id AND hash = old.media_hash AND reference_count = 0;
END;
CREATE TRIGGER device_files_message_attach AFTER UPDATE OF media_hash ON messages
    WHEN new.from_me = 1 AND new.media_hash IS NOT NULL AND old.media_hash IS NOT new.media_hash BEGIN
    INSERT INTO device_files (device_id, hash, filesize, reference_count)
        SELECT new.device_id, f.hash, f.filesize, 1 FROM media f WHERE f.hash = new.media_hash
        ON CONFLICT (device_id, hash) DO UPDATE SET reference_count = reference_count + 1;
END;
