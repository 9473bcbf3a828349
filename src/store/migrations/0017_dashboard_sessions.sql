-- Sessions of the dashboard. The cookie is not stored, only its SHA-256. key_hash is the hash of the key at the sign-in:
-- the key of the environment keeps its id when its text changes.
CREATE TABLE dashboard_sessions (
    hash         BLOB PRIMARY KEY,
    key_id       TEXT NOT NULL,
    key_hash     BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    ends_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX dashboard_sessions_by_key ON dashboard_sessions (key_id);
