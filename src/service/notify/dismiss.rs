//! Takes from the desktop what is over: a code that was scanned, a device that is back, a call that ended, a chat that
//! was read. It follows the logs of the devices that have something there, from what it tells on.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;

use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::notify::Kind;
use crate::service::{Notifications, ServiceError};

/// Notifications that were shown and are to be looked after.
pub(super) const ROOM: usize = 64;
/// Notifications that are looked after; beyond it the one that was shown first is left to its reader.
const MAX: usize = 64;
/// How often logs are looked at, while something is on the desktop.
const TICK: Duration = Duration::from_secs(1);
/// Entries read at once.
const PAGE: usize = 1_000;

/// Something that is on the desktop.
#[derive(Debug, Clone)]
pub(super) struct ShownNotifications {
    /// Whose.
    pub(super) device: DeviceId,
    /// Its tag there.
    pub(super) tag: String,
    /// What it tells of.
    pub(super) kind: Kind,
    /// Where.
    pub(super) chat: Option<Jid>,
    /// The last entry of the log that is in it.
    pub(super) seq: i64,
}

impl ShownNotifications {
    /// Whether an entry of its device's log says that it is over.
    fn is_ended_by(&self, entry: &Entry) -> bool {
        if entry.seq <= self.seq {
            return false;
        }
        let same_chat = |chat: &Option<Jid>| self.chat.is_some() && *chat == self.chat;
        let Entry { kind, about, .. } = entry;
        match (self.kind, kind.as_str()) {
            (_, "device-deleted") => true,
            (Kind::Qr | Kind::Offline | Kind::Error, "ready") => true,
            // Somebody wants it so.
            (Kind::Qr | Kind::Offline, "state") => about.state.as_deref() == Some("stopped"),
            (Kind::Call, "call") => about.status.as_deref() != Some("ringing") && same_chat(&about.from),
            (Kind::Message, "message:read") => about.read_by.is_none() && same_chat(&about.chat_id),
            (Kind::Message, "chat:cleared" | "chat:deleted") => same_chat(&about.chat_id),
            _ => false,
        }
    }
}

/// What is looked at of an entry of a log.
struct Entry {
    seq: i64,
    kind: String,
    about: About,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    chat_id: Option<Jid>,
    from: Option<Jid>,
    read_by: Option<Jid>,
    status: Option<String>,
    state: Option<String>,
}

/// What is on the desktop, the oldest first, and how far the logs were looked through.
#[derive(Default)]
struct Watched {
    all: Vec<ShownNotifications>,
    positions: HashMap<DeviceId, i64>,
}

impl Watched {
    fn add(&mut self, shown: ShownNotifications) {
        self.all.retain(|known| known.tag != shown.tag);
        if self.all.len() >= MAX {
            self.all.remove(0);
        }
        // It may have waited to be shown for longer than its end took to come.
        let position = self.positions.entry(shown.device.clone()).or_insert(shown.seq);
        *position = shown.seq.min(*position);
        self.all.push(shown);
    }

    /// The tags that these entries of a device end.
    fn ended(&mut self, device: &DeviceId, entries: &[Entry]) -> Vec<String> {
        if let (Some(last), Some(position)) = (entries.last(), self.positions.get_mut(device)) {
            *position = last.seq;
        }
        let mut ended = Vec::new();
        self.all.retain(|shown| {
            let over = shown.device == *device && entries.iter().any(|entry| shown.is_ended_by(entry));
            if over {
                ended.push(shown.tag.clone());
            }
            !over
        });
        self.positions.retain(|device, _| self.all.iter().any(|shown| shown.device == *device));
        ended
    }
}

impl Notifications {
    /// Withdraws from the desktop what is over, of all that is told to be there.
    pub(super) async fn withdraw_all(&self, mut shown: mpsc::Receiver<ShownNotifications>) {
        let (soft, mut watched) = (self.tasks.soft().clone(), Watched::default());
        loop {
            let tick = if watched.all.is_empty() { Duration::MAX } else { TICK };
            tokio::select! {
                biased;
                () = soft.cancelled() => return,
                new = shown.recv() => match new {
                    Some(new) => watched.add(new),
                    None => return,
                },
                () = tokio::time::sleep(tick) => self.withdraw_ended(&mut watched).await,
            }
        }
    }

    async fn withdraw_ended(&self, watched: &mut Watched) {
        let positions: Vec<_> = watched.positions.iter().map(|(id, seq)| (id.clone(), *seq)).collect();
        for (device, after) in positions {
            match self.entries_after(&device, after).await {
                Ok(entries) => {
                    for tag in watched.ended(&device, &entries) {
                        // What cannot be taken away stays until its reader takes it.
                        let _ = self.state.desktop.withdraw(&tag).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(%device, %error, "what is on the desktop could not be looked after");
                }
            }
        }
    }

    async fn entries_after(&self, device: &DeviceId, after: i64) -> Result<Vec<Entry>, ServiceError> {
        let of = device.clone();
        let logged = self.store.read(move |store| store.events_after(&of, after, PAGE)).await?;
        let entry = |logged: crate::store::events::LogRow| Entry {
            seq: logged.seq,
            about: serde_json::from_str(logged.payload.get()).unwrap_or_default(),
            kind: logged.kind,
        };
        Ok(logged.into_iter().map(entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: &str = "15550100001@c.us";

    fn shown(device: &str, kind: Kind, chat: Option<&str>, seq: i64) -> ShownNotifications {
        let tag = format!("{device}|{}:{}", kind.as_str(), chat.unwrap_or_default());
        ShownNotifications {
            device: device.parse().unwrap(),
            tag,
            kind,
            chat: chat.map(|c| c.parse().unwrap()),
            seq,
        }
    }

    fn entry(seq: i64, kind: &str, payload: &str) -> Entry {
        Entry { seq, kind: kind.to_owned(), about: serde_json::from_str(payload).unwrap() }
    }

    fn ends(shown: &ShownNotifications, kind: &str, payload: &str) -> bool {
        shown.is_ended_by(&entry(shown.seq + 1, kind, payload))
    }

    #[test]
    fn notification_is_dismissed_by_its_own_event_only() {
        for kind in [Kind::Qr, Kind::Offline, Kind::Error] {
            let link = shown("shop", kind, None, 5);
            assert!(ends(&link, "ready", "{}") && !ends(&link, "message:read", "{}"), "{kind:?}");
            assert!(!link.is_ended_by(&entry(5, "ready", "{}")), "it was so before");
            assert_eq!(ends(&link, "state", r#"{"state":"stopped"}"#), kind != Kind::Error, "{kind:?}");
        }
        let call = shown("shop", Kind::Call, Some(ANNA), 5);
        for (status, over) in [("ringing", false), ("accepted", true), ("rejected", true), ("ended", true)] {
            assert_eq!(ends(&call, "call", &format!(r#"{{"from":"{ANNA}","status":"{status}"}}"#)), over);
        }
        assert!(!ends(&call, "call", r#"{"from":"15550100002@c.us","status":"ended"}"#));
        let message = shown("shop", Kind::Message, Some(ANNA), 5);
        assert!(ends(&message, "message:read", &format!(r#"{{"chatId":"{ANNA}"}}"#)));
        let by_them = format!(r#"{{"chatId":"{ANNA}","readBy":"{ANNA}"}}"#);
        assert!(!ends(&message, "message:read", &by_them));
        assert!(!ends(&message, "message:read", r#"{"chatId":"15550100002@c.us"}"#));
        assert!(ends(&message, "device-deleted", "{}"));
    }

    #[test]
    fn dismissal_is_once_and_per_device() {
        let mut watched = Watched::default();
        for device in ["shop", "home"] {
            watched.add(shown(device, Kind::Qr, None, 5));
        }
        let (shop, home): (DeviceId, DeviceId) = ("shop".parse().unwrap(), "home".parse().unwrap());
        assert!(watched.ended(&shop, &[entry(6, "state", "{}")]).is_empty());
        assert_eq!(watched.positions[&shop], 6);
        assert_eq!(watched.ended(&shop, &[entry(7, "ready", "{}")]), ["shop|qr:"]);
        assert!(watched.ended(&shop, &[entry(8, "ready", "{}")]).is_empty());
        assert!(!watched.positions.contains_key(&shop) && watched.positions.contains_key(&home));
        watched.add(shown("home", Kind::Call, Some(ANNA), 3));
        assert_eq!(watched.positions[&home], 3, "its end may have come before it was shown");
    }

    #[test]
    fn tracked_notifications_are_bounded_per_tag() {
        let mut watched = Watched::default();
        for seq in 0..200 {
            watched.add(shown(&format!("d{}", seq % 100), Kind::Qr, None, seq));
        }
        assert_eq!(watched.all.len(), MAX);
        assert_eq!(watched.all.last().unwrap().seq, 199);
    }
}
