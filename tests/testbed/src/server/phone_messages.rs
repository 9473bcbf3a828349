//! Messages from a phone to companions: encrypted for each, with the attributes of the wire. The text is kept
//! until a companion has confirmed, so that the message can be encrypted again.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::sync::oneshot;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;

use super::World;
use super::groups::GroupView;
use super::message_faults::MessageFaultKind;
use super::messages;
use super::offline::{self, QueuedStanza};
use super::state::{Account, Companion};
use crate::media::reupload;
use crate::phone::outbound;
use crate::phone::signal::{Bundle, Ciphertext, Device, Signal};

/// The most files that a phone can upload again.
const MAX_PHONE_FILES: usize = 1_000;

/// The chat of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The direct chat of author and account.
    Direct,
    /// A chat in which the account's own phone writes.
    Own(Jid),
    /// A group.
    Group(Jid),
    /// No chat: a message of the phone to its own companion.
    Peer,
}

/// The ids of the author in a stanza.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Addressing {
    /// The number, with the LID as addition.
    #[default]
    Number,
    /// The LID, with the number as addition.
    Lid,
    /// The LID only.
    LidOnly,
}

impl Addressing {
    /// The person's JID in stanzas.
    #[must_use]
    pub fn jid(self, person: &Account) -> Jid {
        match self {
            Self::Number => person.jid(0),
            Self::Lid | Self::LidOnly => person.lid_jid(0),
        }
    }
}

/// How stanzas for an account name a person, depending on the person and the group.
#[must_use]
pub fn addressing(world: &World, account: &Account, person: &Account, group: Option<&str>) -> Addressing {
    if account.lock().hidden_numbers.contains(&person.number) {
        return Addressing::LidOnly;
    }
    let group_state = group.and_then(|group| world.groups.find(&account.number, group));
    let by_lid = group_state
        .is_some_and(|group_state| (GroupView { world, account, group_state: &group_state }).by_lid());
    if by_lid { Addressing::Lid } else { Addressing::Number }
}

/// A message from a phone to an account's companions.
pub struct PhoneMessage {
    /// The account of the writing phone.
    pub author: Arc<Account>,
    /// How the author is named.
    pub addressing: Addressing,
    /// The message's chat.
    pub place: Destination,
    /// The network id.
    pub id: String,
    /// The time in seconds.
    pub at: i64,
    /// The author's profile name.
    pub notify: Option<String>,
    /// The content.
    pub message: wa::Message,
}

/// Sends a message to all companions of an account. Each returned receiver completes when a companion
/// has confirmed.
///
/// # Errors
/// If it cannot be encrypted, or a companion's queue is full.
pub async fn write(
    account: &Arc<Account>,
    phone_message: PhoneMessage,
) -> Result<Vec<oneshot::Receiver<()>>> {
    let phone_message = Arc::new(phone_message);
    let (twice, garbled) = {
        let mut state = account.lock();
        if let Some(file) = reupload::file_of(&phone_message.id, &phone_message.message) {
            if state.phone_files.len() >= MAX_PHONE_FILES {
                state.phone_files.pop_front();
            }
            state.phone_files.push_back(file);
        }
        let message_faults = &mut state.message_faults;
        (
            message_faults.trigger(MessageFaultKind::DuplicateIncoming).is_some(),
            message_faults.trigger(MessageFaultKind::GarbleIncoming).is_some(),
        )
    };
    let mut confirmed = Vec::new();
    for device in account.devices() {
        let (done, receiver) = oneshot::channel();
        post(account, device, &phone_message, Some(done), garbled)?;
        if twice {
            post(account, device, &phone_message, None, false)?;
        }
        confirmed.push(receiver);
        offline::flush(account, device).await;
    }
    Ok(confirmed)
}

/// Sends a message to one companion.
///
/// # Errors
/// If it cannot be encrypted, or the companion's queue is full.
pub async fn write_to(account: &Arc<Account>, device: u16, phone_message: PhoneMessage) -> Result<()> {
    post(account, device, &Arc::new(phone_message), None, false)?;
    offline::flush(account, device).await;
    Ok(())
}

/// Encrypts and queues under one lock, so that the queue has the order of the ratchet.
fn post(
    account: &Account,
    device: u16,
    phone_message: &Arc<PhoneMessage>,
    done: Option<oneshot::Sender<()>>,
    garbled: bool,
) -> Result<()> {
    let mut signal = phone_message.author.phone.signal();
    let stanza = phone_message.encrypted(&mut signal, account, device, 0, garbled)?;
    let entry = QueuedStanza::new(stanza).of(Arc::clone(phone_message)).notifying(done);
    offline::queue(account, device, entry).context("the companion's queue is full")
}

/// Encrypts a message again that a companion could not decrypt, in a new session. The keys are those in its
/// request, or uploaded ones.
///
/// # Errors
/// If it cannot be encrypted.
pub fn again(
    phone_message: &PhoneMessage,
    account: &Account,
    device: u16,
    bundle: Option<Bundle>,
    count: u32,
) -> Result<Node> {
    let is = Device::new(account.number.as_str(), device);
    let mut signal = phone_message.author.phone.signal();
    signal.forget(&is);
    if let Destination::Group(group) = &phone_message.place {
        signal.forget_chain_recipient(&group.to_string(), &is);
    }
    if let Some(bundle) = bundle {
        signal.establish(&is, &bundle)?;
    }
    phone_message.encrypted(&mut signal, account, device, count, false)
}

impl PhoneMessage {
    /// A message of an account's phone to its own companion.
    #[must_use]
    pub fn peer(account: &Arc<Account>, message: wa::Message) -> Self {
        Self {
            author: Arc::clone(account),
            addressing: Addressing::Number,
            place: Destination::Peer,
            id: messages::new_id(),
            at: wacore::time::now_secs(),
            notify: None,
            message,
        }
    }

    fn encrypted(
        &self,
        signal: &mut Signal,
        account: &Account,
        device: u16,
        count: u32,
        garbled: bool,
    ) -> Result<Node> {
        let to = Device::new(account.number.as_str(), device);
        if !signal.has_session(&to) {
            signal.establish(&to, &account.with(device, bundle).context("the companion was unlinked")?)?;
        }
        let mut parts = Vec::with_capacity(2);
        match &self.place {
            Destination::Direct | Destination::Peer => parts.push(signal.encrypt(&to, &self.message)?),
            Destination::Own(chat) => {
                parts.push(signal.encrypt(&to, &outbound::sent_by_me(chat, self.message.clone()))?);
            }
            Destination::Group(group) => {
                let group = group.to_string();
                let chain = signal.chain(&group)?;
                if signal.mark_chain_sent(&group, &to) {
                    let distribution = wa::Message {
                        sender_key_distribution_message: MessageField::some(chain),
                        ..Default::default()
                    };
                    parts.push(signal.encrypt(&to, &distribution)?);
                }
                parts.push(signal.encrypt_for_group(&group, &self.message)?);
            }
        }
        if garbled {
            parts.clear();
            let keys = account.with(device, bundle).context("the companion was unlinked")?;
            parts.push(signal.encrypt_undecryptable(&to, &keys, &self.message)?);
        }
        let kind = media_type(&self.message);
        let parts = parts.iter().map(|part| enc(part, count, kind));
        Ok(self.envelope(account).children(parts).build())
    }

    fn envelope(&self, account: &Account) -> NodeBuilder {
        let author = &self.author;
        let (number, lid) = (author.jid(0), author.lid_jid(0));
        let mut stanza = NodeBuilder::new("message")
            .attr("id", self.id.as_str())
            .attr("type", stanza_type(&self.message))
            .attr("t", self.at);
        if let Some(notify) = &self.notify {
            stanza = stanza.attr("notify", notify.as_str());
        }
        if let Some(edit) = edit_type(&self.message) {
            stanza = stanza.attr("edit", edit);
        }
        match (&self.place, self.addressing) {
            (Destination::Direct, Addressing::Number) => stanza.attr("from", number).attr("sender_lid", lid),
            (Destination::Direct, Addressing::Lid) => stanza.attr("from", lid).attr("sender_pn", number),
            (Destination::Direct, Addressing::LidOnly) => stanza.attr("from", lid),
            (Destination::Own(chat), _) => stanza.attr("from", account.jid(0)).attr("recipient", chat),
            (Destination::Peer, _) => stanza.attr("from", account.jid(0)).attr("category", "peer"),
            (Destination::Group(group), addressing) => {
                let stanza = stanza.attr("from", group);
                match addressing {
                    Addressing::Number => stanza
                        .attr("participant", number)
                        .attr("participant_lid", lid)
                        .attr("addressing_mode", "pn"),
                    Addressing::Lid => stanza
                        .attr("participant", lid)
                        .attr("participant_pn", number)
                        .attr("addressing_mode", "lid"),
                    Addressing::LidOnly => stanza.attr("participant", lid).attr("addressing_mode", "lid"),
                }
            }
        }
    }
}

/// The keys with which a phone starts a session with a companion; uses up a one-time key.
#[must_use]
pub fn bundle(companion: &mut Companion) -> Bundle {
    Bundle {
        registration: companion.registration_id,
        identity: companion.identity,
        signed: companion.signed_prekey.clone(),
        one_time: companion.prekeys.pop_front(),
    }
}

fn enc(part: &Ciphertext, count: u32, media: Option<&'static str>) -> Node {
    let mut enc = NodeBuilder::new("enc").attr("v", 2_u32).attr("type", part.kind);
    if count > 0 {
        enc = enc.attr("count", count);
    }
    if let Some(media) = media {
        enc = enc.attr("mediatype", media);
    }
    enc.bytes(part.bytes.clone()).build()
}

fn media_type(message: &wa::Message) -> Option<&'static str> {
    if message.image_message.is_set() {
        return Some("image");
    }
    if message.video_message.is_set() {
        return Some("video");
    }
    if let Some(audio) = message.audio_message.as_option() {
        return Some(if audio.ptt == Some(true) { "ptt" } else { "audio" });
    }
    if message.sticker_message.is_set() {
        return Some("sticker");
    }
    message.document_message.is_set().then_some("document")
}

fn stanza_type(message: &wa::Message) -> &'static str {
    if message.reaction_message.is_set() {
        return "reaction";
    }
    if message.poll_creation_message_v3.is_set() || message.poll_update_message.is_set() {
        return "poll";
    }
    if media_type(message).is_some() { "media" } else { "text" }
}

/// The `edit` attribute, which marks changes of earlier messages.
fn edit_type(message: &wa::Message) -> Option<&'static str> {
    use wa::message::protocol_message::Type;
    match message.protocol_message.as_option()?.r#type? {
        Type::MESSAGE_EDIT => Some("1"),
        Type::REVOKE => Some("7"),
        _ => None,
    }
}
