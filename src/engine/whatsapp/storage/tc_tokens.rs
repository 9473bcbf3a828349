//! Tokens of trusted contacts. An entry has two halves with separate writers, the received token and the time
//! when ours was sent; each reads and writes in one step.

use wacore::store::error::Result;
use wacore::store::traits::TcTokenEntry;

use super::spaces::TC_TOKENS;
use super::{VaultBackend, decoded, encoded, failed};

impl VaultBackend {
    /// Records when our token was sent; never moves it backwards.
    pub(super) async fn record_token_sent(&self, jid: &str, at: i64) -> Result<()> {
        self.merge_token(jid, move |entry| match entry {
            Some(entry) => {
                let sender_timestamp = Some(entry.sender_timestamp.map_or(at, |stored| stored.max(at)));
                Some(TcTokenEntry { sender_timestamp, ..entry })
            }
            None => Some(TcTokenEntry { token: Vec::new(), token_timestamp: at, sender_timestamp: Some(at) }),
        })
        .await
    }

    /// Stores a received token, unless the stored one is newer.
    pub(super) async fn record_token_received(&self, jid: &str, token: &[u8], at: i64) -> Result<()> {
        let token = token.to_vec();
        self.merge_token(jid, move |entry| {
            let newer_is_there =
                entry.as_ref().is_some_and(|stored| !stored.token.is_empty() && at < stored.token_timestamp);
            if newer_is_there {
                return None;
            }
            let sender_timestamp = entry.and_then(|stored| stored.sender_timestamp);
            Some(TcTokenEntry { token: token.clone(), token_timestamp: at, sender_timestamp })
        })
        .await
    }

    /// Removes expired tokens; returns their number.
    pub(super) async fn prune_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> Result<u32> {
        self.update(move |view, batch| {
            let mut removed = 0;
            for (jid, bytes) in view.list(TC_TOKENS, "").map_err(failed)? {
                let entry: TcTokenEntry = decoded(&bytes)?;
                let token_lives = !entry.token.is_empty() && entry.token_timestamp >= token_cutoff;
                let sent_recently = entry.sender_timestamp.is_some_and(|at| at >= sender_cutoff);
                if !token_lives && !sent_recently {
                    batch.remove(TC_TOKENS, jid);
                    removed += 1;
                }
            }
            Ok(removed)
        })
        .await
    }

    async fn merge_token<F>(&self, jid: &str, merge: F) -> Result<()>
    where
        F: Fn(Option<TcTokenEntry>) -> Option<TcTokenEntry> + Send + 'static,
    {
        let jid = jid.to_owned();
        self.update(move |view, batch| {
            let stored = view.get(TC_TOKENS, &jid).map_err(failed)?;
            let stored = stored.map(|bytes| decoded(&bytes)).transpose()?;
            if let Some(entry) = merge(stored) {
                batch.put(TC_TOKENS, jid.clone(), encoded(&entry)?);
            }
            Ok(())
        })
        .await
    }
}
