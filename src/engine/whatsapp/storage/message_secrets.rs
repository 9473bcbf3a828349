//! Secrets of messages, which decrypt later messages about them (votes, edits and others).
//!
//! A value is the secret (32 bytes), the expiry (0: none) and the message's timestamp (0: unknown), both in
//! seconds with 8 bytes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use async_trait::async_trait;
use wacore::store::error::Result;
use wacore::store::traits::{
    MessageSecret, MsgSecretEntry, MsgSecretStore, merge_msg_secret_expiry, merge_msg_secret_message_ts,
};

use super::spaces::{MESSAGE_SECRETS, joined};
use super::{VaultBackend, exactly, failed};
use crate::domain::clock::Millis;

/// A stored secret.
#[derive(Clone, Copy)]
struct StoredSecret {
    secret: MessageSecret,
    expires_at: i64,
    message_ts: i64,
}

impl StoredSecret {
    fn to_bytes(self) -> Vec<u8> {
        [&self.secret[..], &self.expires_at.to_be_bytes(), &self.message_ts.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bytes: [u8; 48] = exactly(bytes, "message secret")?;
        Ok(Self {
            secret: exactly(&bytes[..32], "message secret")?,
            expires_at: i64::from_be_bytes(exactly(&bytes[32..40], "deadline")?),
            message_ts: i64::from_be_bytes(exactly(&bytes[40..], "time")?),
        })
    }

    /// Merges two secrets: the new secret, an existing timestamp, and the later expiry.
    fn renewed(self, by: Self) -> Self {
        Self {
            secret: by.secret,
            expires_at: merge_msg_secret_expiry(self.expires_at, by.expires_at),
            message_ts: merge_msg_secret_message_ts(self.message_ts, by.message_ts),
        }
    }

    fn deadline(self) -> Option<Millis> {
        (self.expires_at != 0).then(|| Millis(self.expires_at.saturating_mul(1_000)))
    }
}

#[async_trait]
impl MsgSecretStore for VaultBackend {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> Result<usize> {
        let given = entries.len();
        if given == 0 {
            return Ok(0);
        }
        let mut new: BTreeMap<String, StoredSecret> = BTreeMap::new();
        for MsgSecretEntry { chat, sender, msg_id, secret, expires_at, message_ts } in entries {
            let stored = StoredSecret { secret, expires_at, message_ts };
            match new.entry(joined(&[&chat, &sender, &msg_id])) {
                Entry::Occupied(mut earlier) => {
                    earlier.insert(earlier.get().renewed(stored));
                }
                Entry::Vacant(free) => {
                    free.insert(stored);
                }
            }
        }
        self.update(move |view, batch| {
            for (key, stored) in new.clone() {
                let stored = match view.get(MESSAGE_SECRETS, &key).map_err(failed)? {
                    Some(earlier) => StoredSecret::from_bytes(&earlier)?.renewed(stored),
                    None => stored,
                };
                batch.put_until(MESSAGE_SECRETS, key, stored.to_bytes(), stored.deadline());
            }
            Ok(given)
        })
        .await
    }

    async fn get_msg_secret(&self, chat: &str, sender: &str, msg_id: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.get_msg_secret_with_ts(chat, sender, msg_id).await?.map(|(secret, _)| secret))
    }

    async fn get_msg_secret_with_ts(
        &self,
        chat: &str,
        sender: &str,
        msg_id: &str,
    ) -> Result<Option<(Vec<u8>, i64)>> {
        let Some(bytes) = self.get(MESSAGE_SECRETS, &joined(&[chat, sender, msg_id])).await? else {
            return Ok(None);
        };
        let stored = StoredSecret::from_bytes(&bytes)?;
        Ok(Some((stored.secret.to_vec(), stored.message_ts)))
    }

    /// The cutoff itself counts as expired.
    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> Result<u32> {
        self.prune(MESSAGE_SECRETS, cutoff_timestamp.saturating_add(1)).await
    }
}
