-- Secrets within the settings of devices, sealed as the vault is.
CREATE TABLE device_secrets (
    device_id TEXT PRIMARY KEY,
    secrets BLOB NOT NULL,
    sealed INTEGER NOT NULL
) STRICT;
