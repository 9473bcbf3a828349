//! Dismisses desktop notifications that are outdated: a scanned code, a reconnected device, an ended call, a
//! read chat. Follows the logs only of devices with a notification on the desktop.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;

use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::notify::Kind;
use crate::service::{Notifications, ServiceError};

/// Capacity of the channel of shown notifications.
pub(super) const ROOM: usize = 64;
/// Limit of tracked notifications. Above it the oldest one stays until the user closes it.
const MAX: usize = 64;
/// Poll interval of the logs while a notification is on the desktop.
const TICK: Duration = Duration::from_secs(1);
/// Entries per page.
const PAGE: usize = 1_000;

/// A notification on the desktop.
#[derive(Debug, Clone)]
pub(super) struct ShownNotifications {
    /// The device of the notification.
    pub(super) device: DeviceId,
    /// Its desktop tag.
    pub(super) tag: String,
    /// The kind of its trigger.
    pub(super) kind: Kind,
    /// Its chat, if it has one.
    pub(super) chat: Option<Jid>,
    /// Log position of the newest entry that it counts.
    pub(super) seq: i64,
}

impl ShownNotifications {
    /// Whether this log entry makes the notification obsolete.
    fn is_ended_by(&self, entry: &Entry) -> bool {
        if entry.seq <= self.seq {
            return false;
        }
        let same_chat = |chat: &Option<Jid>| self.chat.is_some() && *chat == self.chat;
        let Entry { kind, about, .. } = entry;
        match (self.kind, kind.as_str()) {
            (_, "device-deleted") => true,
            (Kind::Qr | Kind::Offline | Kind::Error, "ready") => true,
            // The operator stopped the device.
            (Kind::Qr | Kind::Offline, "state") => about.state.as_deref() == Some("stopped"),
            (Kind::Call, "call") => about.status.as_deref() != Some("ringing") && same_chat(&about.from),
            (Kind::Message, "message:read") => about.read_by.is_none() && same_chat(&about.chat_id),
            (Kind::Message, "chat:cleared" | "chat:deleted") => same_chat(&about.chat_id),
            _ => false,
        }
    }
}

/// The fields of a log entry that can end a notification.
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

/// Notifications on the desktop, the oldest first, and the log position of each device.
#[derive(Default)]
struct Watched {
    all: Vec<ShownNotifications>,
    positions: HashMap<DeviceId, i64>,
}

impl Watched {
    fn add(&mut self, shown: ShownNotifications) {
        self.all.retain(|earlier| earlier.tag != shown.tag);
        if self.all.len() >= MAX {
            self.all.remove(0);
        }
        // A notification that waited in the queue may be obsolete already, so reading starts at its own
        // position.
        let position = self.positions.entry(shown.device.clone()).or_insert(shown.seq);
        *position = shown.seq.min(*position);
        self.all.push(shown);
    }

    /// Processes log entries of a device; returns the tags of notifications that they end.
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
    /// Dismisses desktop notifications when later events make them obsolete.
    pub(super) async fn dismiss_obsolete(&self, mut shown: mpsc::Receiver<ShownNotifications>) {
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
                () = tokio::time::sleep(tick) => self.dismiss_ended(&mut watched).await,
            }
        }
    }

    async fn dismiss_ended(&self, watched: &mut Watched) {
        let positions: Vec<_> = watched.positions.iter().map(|(id, seq)| (id.clone(), *seq)).collect();
        for (device, after) in positions {
            match self.entries_after(&device, after).await {
                Ok(entries) => {
                    for tag in watched.ended(&device, &entries) {
                        // A notification that cannot be closed stays until the user closes it.
                        let _ = self.state.desktop.withdraw(&tag).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(%device, %error, "outdated desktop notifications could not be dismissed");
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
            kind: logged.kind.into_owned(),
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
            assert!(!link.is_ended_by(&entry(5, "ready", "{}")), "an earlier entry does not end it");
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
        assert_eq!(watched.positions[&home], 3, "its end may precede its display");
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
