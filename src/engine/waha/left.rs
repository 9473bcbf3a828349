//! Chats of which could not be read what was missed: they hold up no other, and are read again later.

use super::reconcile::{self, Read};
use super::session::WahaSession;
use crate::domain::jid::Jid;
use crate::engine::{SessionEnd, VaultError};

/// Where the vault says since when they are to be read.
pub(super) const SPACE: &str = "waha.left";
/// A chat that could not be read for so long is given up.
const GIVEN_UP_MS: i64 = 30 * 86_400_000;

/// A chat could not be read since then.
pub(super) async fn note(session: &WahaSession, chat: &Jid, since: i64) -> Result<(), VaultError> {
    let key = chat.to_string();
    let noted = session.vault.get(SPACE, &key).await?.and_then(parsed);
    let since = noted.map_or(since, |noted| noted.min(since));
    session.vault.put(SPACE, &key, Some(since.to_string().into_bytes())).await
}

/// Those that are left, with since when.
pub(super) async fn all(session: &WahaSession) -> Result<Vec<(Jid, i64)>, VaultError> {
    let all = session.vault.list(SPACE, "").await?.into_iter();
    Ok(all.filter_map(|(chat, since)| Some((chat.parse().ok()?, parsed(since)?))).collect())
}

/// Reads these again; those that can be read are left no more. Says whether any are.
pub(super) async fn read(session: &WahaSession, chats: Vec<(Jid, i64)>) -> Result<bool, SessionEnd> {
    let mut still = 0_usize;
    let mut in_a_row = 0;
    for (chat, since) in chats {
        if in_a_row >= reconcile::MOST_IN_A_ROW {
            still += 1;
            continue;
        }
        let is_old = session.now().0.saturating_sub(since) > GIVEN_UP_MS;
        match reconcile::read(session, &chat, since).await? {
            Read::Not(_) if !is_old => {
                still += 1;
                in_a_row += 1;
                continue;
            }
            Read::Not(failure) => {
                tracing::warn!(device = %session.device, error = %failure, "what was missed in a chat is given up: it could not be read for a month");
            }
            Read::Whole | Read::Cut => in_a_row = 0,
        }
        let removed = session.vault.put(SPACE, &chat.to_string(), None).await;
        removed.map_err(|error| reconcile::vault_failed(session, &error))?;
    }
    Ok(still > 0)
}

fn parsed(bytes: Vec<u8>) -> Option<i64> {
    String::from_utf8(bytes).ok()?.parse().ok()
}
