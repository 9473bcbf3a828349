//! What the network saw of a device, read from the journal when the control API asks. Everything here blocks.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;

use serde::Serialize;

use super::changes::SimulatedChange;
use super::content::MessageParts;
use super::entries::{Acknowledgement, Changed, Copy, Seen, Typed};
use super::journal::Snapshot;
use super::replay::{each_line, label, parse};
use crate::domain::clock::Millis;
use crate::domain::event::TypingKind;
use crate::domain::ids::{DeviceId, MessageId, NetworkId};
use crate::domain::jid::Jid;

/// What the network saw of one device, as the control API shows it.
#[derive(Debug, Default, Serialize)]
pub(super) struct NetworkView {
    sent: Vec<SentView>,
    acknowledged: Vec<NetworkId>,
    typing: Vec<TypingView>,
    read: Vec<ReadView>,
    changes: Vec<ChangeView>,
}

/// A message that the device sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SentView {
    network_id: NetworkId,
    to: Jid,
    body: String,
    /// When the first copy came in.
    at: Millis,
    /// How many copies came in.
    arrivals: u64,
    /// How many messages the recipient saw: one, whatever the number of copies.
    shown: u64,
    #[serde(flatten)]
    rich: MessageParts,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TypingView {
    to: Jid,
    kind: TypingKind,
    on: bool,
    at: Millis,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadView {
    chat: Jid,
    message_ids: Vec<MessageId>,
    at: Millis,
}

#[derive(Debug, Serialize)]
struct ChangeView {
    #[serde(flatten)]
    change: SimulatedChange,
    at: Millis,
}

#[derive(Default)]
struct Watch {
    view: NetworkView,
    /// Where in `sent` a message stands, by a hash of chat and id: an index over a long journal stays small.
    sent_at: HashMap<u64, Vec<usize>>,
    acknowledged: HashSet<NetworkId>,
}

/// What the network saw of `device`, as far back as the files go.
pub(super) fn view(snapshot: Snapshot, device: &DeviceId) -> io::Result<NetworkView> {
    let mut watch = Watch::default();
    for (file, len) in snapshot.files {
        each_line(file, len, |line| match label(line) {
            Some((id, kind)) if id == device.as_str() => watch.take(kind, line),
            _ => {}
        })?;
    }
    Ok(watch.view)
}

impl Watch {
    fn take(&mut self, kind: &str, line: &[u8]) {
        match kind {
            "sent" => {
                if let Some(copy) = parse(line) {
                    self.sent(copy);
                }
            }
            "acknowledged" => {
                let Some(Acknowledgement { network_id, .. }) = parse(line) else {
                    return;
                };
                if self.acknowledged.insert(network_id.clone()) {
                    self.view.acknowledged.push(network_id);
                }
            }
            "typing" => self.view.typing.extend(parse(line).map(|typed: Typed| TypingView {
                to: typed.chat,
                kind: typed.what,
                on: typed.on,
                at: typed.at,
            })),
            "read" => self.view.read.extend(parse(line).map(|seen: Seen| ReadView {
                chat: seen.chat,
                message_ids: seen.message_ids,
                at: seen.at,
            })),
            "change" => {
                let changed = parse(line).map(|Changed { change, at }| ChangeView { change, at });
                self.view.changes.extend(changed);
            }
            "forgotten" => *self = Self::default(),
            _ => {}
        }
    }

    fn sent(&mut self, copy: Copy) {
        let mut hasher = DefaultHasher::new();
        (&copy.to, &copy.network_id).hash(&mut hasher);
        let places = self.sent_at.entry(hasher.finish()).or_default();
        let known = places.iter().copied().find(|place| {
            self.view.sent.get(*place).is_some_and(|m| m.to == copy.to && m.network_id == copy.network_id)
        });
        if let Some(message) = known.and_then(|place| self.view.sent.get_mut(place)) {
            message.arrivals += 1;
            return;
        }
        places.push(self.view.sent.len());
        let Copy { network_id, to, body, at, rich } = copy;
        self.view.sent.push(SentView { network_id, to, body, at, arrivals: 1, shown: 1, rich });
    }
}
