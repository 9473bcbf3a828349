-- What engines keep may have a deadline, and may be sealed with a key that is not in the database.

ALTER TABLE vault ADD COLUMN expires_at INTEGER;                -- from then on pruning may take it
ALTER TABLE vault ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0; -- 1: XChaCha20-Poly1305, nonce first; 0: as it is
CREATE INDEX vault_by_deadline ON vault (device_id, space, expires_at) WHERE expires_at IS NOT NULL;

-- A known text under the key: there once a key was used, and only the same one opens it.
CREATE TABLE vault_seal (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    proof BLOB NOT NULL
) STRICT;
