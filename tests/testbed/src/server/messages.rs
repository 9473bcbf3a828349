//! Handles `<message>`: the server's ack, decryption by the recipients' phones, their receipts and replies.

use std::sync::Arc;
use std::time::Duration;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp as wa;

use super::World;
use super::dispatch::Session;
use super::message_faults::{FaultEffect, MessageFaultKind};
use super::offline::{self, QueuedStanza};
use super::phone_delivery::{self, DecryptedMessage};
use super::phone_messages::{self, Addressing, Destination, PhoneMessage};
use super::receipts::{self, Level};
use super::state::Account;
use crate::id::Id;
use crate::phone::outbound::OutboundMessage;
use crate::wire::nodes;

/// The default error codes: unavailable, and not allowed (the recipient has never written to the account).
const UNAVAILABLE: u16 = 503;
const NOT_ALLOWED: u16 = 463;
/// The delay of a reply, after the message was read or, if nothing is read, after it arrived.
const ECHO_AFTER_READ_MS: u64 = 100;
const ECHO_UNREAD_MS: u64 = 300;

/// A message that the server handles.
#[derive(Clone)]
pub(super) struct MessageInTransit {
    pub(super) session: Session,
    pub(super) stanza: Arc<Node>,
    /// As addressed by the companion.
    pub(super) to: Jid,
    /// The chat as the account sees it.
    pub(super) chat: Id,
    pub(super) id: String,
}

/// Handles a message.
pub async fn handle(session: &Session, message: &Node) {
    let Some(to) = nodes::jid(message, "to") else { return };
    let Some(chat) = session.world.directory.id_for(&session.account, &to) else { return };
    let id = nodes::attr(message, "id");
    let in_transit =
        MessageInTransit { session: session.clone(), stanza: Arc::new(message.clone()), to, chat, id };
    if nodes::attr(message, "category") == "peer" {
        phone_delivery::peer(&in_transit);
        session.send(receipts::ack(&in_transit.to, &in_transit.id, None)).await;
        return;
    }
    let slow = session.account.lock().message_faults.trigger(MessageFaultKind::SlowSend);
    match slow {
        Some(FaultEffect::Delay(delay)) => session.world.spawn(async move {
            tokio::time::sleep(delay).await;
            in_transit.arrive().await;
        }),
        _ => in_transit.arrive().await,
    }
}

/// Delivers queued messages, in order, until the queue is empty.
async fn deliver_to_phones(account: Arc<Account>) {
    loop {
        let back = account.lock().faults.phones_back();
        if let Some(back) = back {
            tokio::time::sleep_until(back).await;
        }
        let first = account.lock().for_phones.front().cloned();
        let Some(first) = first else { return };
        first.reach_phones().await;
        let mut state = account.lock();
        state.for_phones.pop_front();
        // A new entry in an empty queue starts another task.
        if state.for_phones.is_empty() {
            return;
        }
    }
}

impl MessageInTransit {
    async fn arrive(&self) {
        let account = &self.session.account;
        let unknown = account.lock().message_faults.trigger(MessageFaultKind::SendUnknown);
        if unknown == Some(FaultEffect::Lost) {
            self.session.link.drop_now();
            return;
        }
        if unknown.is_none()
            && let Some(code) = self.refused()
        {
            self.session.send(receipts::ack(&self.to, &self.id, Some(code))).await;
            return;
        }
        account.lock().network_view.arrived(&self.chat, &self.id, wacore::time::now_millis());
        if !self.waits_for_phones() {
            self.reach_phones().await;
        }
        self.relay().await;
        if unknown.is_some() {
            self.session.link.drop_now();
            return;
        }
        self.confirm();
    }

    /// Queues the message if phones are offline, or if earlier messages are still queued.
    fn waits_for_phones(&self) -> bool {
        let mut state = self.session.account.lock();
        let empty = state.for_phones.is_empty();
        if empty && !state.faults.are_phones_off() {
            return false;
        }
        state.for_phones.push_back(self.clone());
        drop(state);
        if empty {
            self.session.world.spawn(deliver_to_phones(Arc::clone(&self.session.account)));
        }
        true
    }

    async fn reach_phones(&self) {
        let opened = phone_delivery::decrypt_all(self).await;
        self.session.account.lock().network_view.tried(&self.chat, &self.id);
        for opened in opened {
            self.shown(opened);
        }
    }

    fn refused(&self) -> Option<u16> {
        let message_faults = &mut self.session.account.lock().message_faults;
        let code =
            |effect: FaultEffect, usual| if let FaultEffect::Code(code) = effect { code } else { usual };
        let transient =
            message_faults.trigger(MessageFaultKind::SendTransient).map(|effect| code(effect, UNAVAILABLE));
        transient.or_else(|| {
            message_faults.trigger(MessageFaultKind::SendPermanent).map(|effect| code(effect, NOT_ALLOWED))
        })
    }

    /// Sends the server's ack on this connection only; a client that reconnects sends again.
    fn confirm(&self) {
        let Some(delay) = self.session.account.lock().behaviour.ack_server_ms else { return };
        let in_transit = self.clone();
        self.session.world.spawn(async move {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            in_transit.session.send(receipts::ack(&in_transit.to, &in_transit.id, None)).await;
        });
    }

    /// A person sees the message for the first time: sends receipts, and perhaps a reply.
    fn shown(&self, opened: DecryptedMessage) {
        let account = &self.session.account;
        let (behaviour, reordered) = {
            let mut state = account.lock();
            let reordered =
                opened.first && state.message_faults.trigger(MessageFaultKind::ReorderReceipts).is_some();
            (state.behaviour.clone(), reordered)
        };
        let mut levels = [(Level::Delivered, behaviour.ack_device_ms), (Level::Read, behaviour.ack_read_ms)];
        if reordered
            && let [(delivered, first), (read, second)] = &mut levels
            && first.is_some()
            && second.is_some()
        {
            std::mem::swap(delivered, read);
        }
        let addressing = self.addressing(&opened.by);
        let participant = self.chat.is_group().then(|| addressing.jid(&opened.by));
        for (level, delay) in levels {
            let Some(delay) = delay else { continue };
            let receipt = receipts::receipt(&self.to.to_non_ad(), &self.id, level, participant.as_ref());
            receipts::later(&self.session.world, account, receipt, Duration::from_millis(delay));
        }
        if behaviour.echo && opened.first {
            let delay = behaviour.ack_read_ms.map_or(ECHO_UNREAD_MS, |ms| ms + ECHO_AFTER_READ_MS);
            self.echo(opened, Duration::from_millis(delay));
        }
    }

    fn addressing(&self, person: &Account) -> Addressing {
        let group = self.chat.is_group().then(|| self.chat.to_string());
        phone_messages::addressing(&self.session.world, &self.session.account, person, group.as_deref())
    }

    fn echo(&self, opened: DecryptedMessage, after: Duration) {
        let group = self.chat.is_group().then(|| self.to.clone());
        let account = Arc::clone(&self.session.account);
        let addressing = self.addressing(&opened.by);
        self.session.world.spawn(async move {
            tokio::time::sleep(after).await;
            let words = OutboundMessage::text(format!("echo: {}", opened.gist));
            let phone_message = PhoneMessage {
                author: opened.by,
                addressing,
                place: group.map_or(Destination::Direct, Destination::Group),
                id: new_id(),
                at: wacore::time::now_secs(),
                notify: None,
                message: words.message(),
            };
            if let Err(error) = phone_messages::write(&account, phone_message).await {
                tracing::warn!(%error, "could not write a reply");
            }
        });
    }

    /// Passes the parts for other companions on unchanged.
    async fn relay(&self) {
        let sender = &self.session.account;
        let identity = self.stanza.get_optional_child("device-identity");
        let skmsg = self.stanza.get_children_by_tag("enc").find(|enc| nodes::attr(enc, "type") == "skmsg");
        let own: Vec<(Jid, Node)> = phone_delivery::addressed(self);
        let mut targets: Vec<(Arc<Account>, u16, Vec<Node>)> = Vec::new();
        if let Some(skmsg) = skmsg {
            for member in phone_delivery::members(&self.session, &self.chat) {
                for device in member.devices() {
                    if !(Arc::ptr_eq(&member, sender) && device == self.session.device) {
                        targets.push((Arc::clone(&member), device, vec![skmsg.clone()]));
                    }
                }
            }
        }
        for (jid, enc) in own.into_iter().filter(|(jid, _)| jid.device > 0) {
            let Some(account) = self.session.world.directory.of(&jid) else { continue };
            match targets
                .iter_mut()
                .find(|(to, device, _)| Arc::ptr_eq(to, &account) && *device == jid.device)
            {
                Some((_, _, parts)) => parts.insert(0, enc),
                None => targets.push((account, jid.device, vec![enc])),
            }
        }
        for (account, device, mut parts) in targets {
            if parts.iter().any(|part| nodes::attr(part, "type") == "pkmsg") {
                parts.extend(identity.cloned());
            }
            let stanza = self.envelope(&account).children(parts).build();
            if offline::queue(&account, device, QueuedStanza::new(stanza)).is_some() {
                offline::flush(&account, device).await;
            }
        }
    }

    fn envelope(&self, to: &Arc<Account>) -> NodeBuilder {
        let sender = &self.session.account;
        let mut stanza = NodeBuilder::new("message")
            .attr("id", self.id.as_str())
            .attr("type", nodes::attr(&self.stanza, "type"))
            .attr("t", wacore::time::now_secs())
            .attr("notify", sender.lock().push_name.clone());
        for name in ["edit", "addressing_mode"] {
            let value = nodes::attr(&self.stanza, name);
            if !value.is_empty() {
                stanza = stanza.attr(name, value);
            }
        }
        if self.chat.is_group() {
            let by_lid = nodes::attr(&self.stanza, "addressing_mode") == "lid";
            let author = if by_lid { self.session.lid_jid() } else { self.session.jid() };
            return stanza.attr("from", &self.to).attr("participant", author);
        }
        let stanza = stanza.attr("from", self.session.jid());
        if Arc::ptr_eq(to, sender) {
            stanza.attr("recipient", self.to.to_non_ad())
        } else {
            stanza.attr("sender_lid", self.session.lid_jid())
        }
    }
}

/// A network id in the phones' format.
#[must_use]
pub fn new_id() -> String {
    let bytes: [u8; 9] = crate::phone::keys::bytes();
    bytes.iter().fold("3EB0".to_owned(), |id, byte| format!("{id}{byte:02X}"))
}

/// The text of a message, or its kind, for replies.
pub(super) fn gist(world: &World, message: &wa::Message) -> String {
    use crate::phone::inbound::{Received, parse};
    let Received::Message(body, rich) = parse(message, &|id| world.directory.by_number(id)) else {
        return String::new();
    };
    if !body.is_empty() {
        return body;
    }
    let question = rich.get("poll").and_then(|poll| poll.get("name"));
    let word = question.or_else(|| rich.get("type")).and_then(|word| word.as_str());
    word.unwrap_or_default().to_owned()
}
