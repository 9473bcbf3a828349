-- Access to inboxes by the tokens of users (devices_claim): what the newest token of each user grants.

CREATE TABLE inbox_token_grants (
    user_pk   INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    PRIMARY KEY (user_pk, device_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_token_grants_by_device ON inbox_token_grants (device_id, user_pk);
