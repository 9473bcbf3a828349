//! Secrets that the daemon generates for itself, sealed with the key of the vault.

use rusqlite::params;

use super::Store;
use super::error::StoreError;
use super::seal::SealContext;

fn place(name: &str) -> SealContext<'_> {
    SealContext { device: "", space: "own", key: name }
}

impl Store {
    /// The secret of this name; stores `made` as the secret when there is none.
    ///
    /// # Errors
    /// When the store fails, or the secret cannot be opened.
    pub async fn own_secret(&self, name: &'static str, made: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let (value, sealed) = self.inner.seal.close(place(name), made)?;
        let (value, sealed): (Vec<u8>, bool) = self
            .write_patiently(move |tx| {
                tx.run(
                    "INSERT INTO own_secrets (name, value, sealed) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING",
                    params![name, value, sealed],
                )?;
                let found = tx.one("SELECT value, sealed FROM own_secrets WHERE name = ?1", [name], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
                found.ok_or(StoreError::Unreadable("secret"))
            })
            .await?;
        self.inner.seal.open(place(name), sealed, value)
    }
}
