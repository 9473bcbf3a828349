//! A contact writes, or the account does on another device.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::content::{Described, Draft, DraftBytes, described};
use super::{
    ACK_WAIT, Control, MAX_BODY, impossible, invalid, not_acknowledged, not_linked, sender, storage,
};
use crate::domain::content::Content;
use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::{Jid, JidKind};
use crate::engine::simulator::device::Device;
use crate::engine::simulator::fields::Fields;
use crate::engine::simulator::files::KeepError;
use crate::engine::simulator::letter::{Bytes, NetworkAttachment, NetworkMessage, Quote};
use crate::engine::simulator::network::AcceptError;
use crate::engine::simulator::{fake_media, generator};
use crate::engine::{ControlError, Incoming, Quoted, SettingError};

const KNOWN: [&str; 20] = [
    "from",
    "fromMe",
    "groupId",
    "author",
    "body",
    "type",
    "media",
    "location",
    "contact",
    "contacts",
    "poll",
    "networkId",
    "timestamp",
    "quotedNetworkId",
    "quotedFromMe",
    "quotedParticipant",
    "quotedBody",
    "mentions",
    "forwarded",
    "notifyName",
];
const MAX_ID: usize = 256;
const MAX_NAME: usize = 100;
const MAX_MENTIONS: usize = 1_024;
/// A file may take so much longer for each of its bytes: 4 MiB in a second.
const BYTES_PER_MS: u64 = 4_194;

impl Control<'_> {
    /// See the module.
    pub(super) async fn incoming(
        &self,
        device: &Arc<Device>,
        map: &Map<String, Value>,
    ) -> Result<Value, ControlError> {
        let fields = Fields::new("", map, &KNOWN).map_err(invalid)?;
        let Described { content, file } = described(&fields).map_err(invalid)?;
        let mut message = self.message(&fields, device, content, file.as_ref()).map_err(invalid)?;
        let quote = quote(&fields, &message.chat).map_err(invalid)?;
        if !device.is_linked() {
            return Err(not_linked());
        }
        if let Some(quote) = quote {
            message.quoted = Some(self.quoted(device, &fields, quote).await?);
        }
        if message.chat.is_group() && !message.from_me {
            device.groups.add_writer(&device.group_context(), &message.chat, &message.from).await;
        }
        let file = match file {
            Some(draft) => Some(self.enclosed(draft).await?),
            None => None,
        };
        self.delivered(device, NetworkMessage { message, file }).await
    }

    /// Hands a letter to the network and waits until the device has acknowledged it.
    async fn delivered(&self, device: &Arc<Device>, letter: NetworkMessage) -> Result<Value, ControlError> {
        let id = id_of(&letter.message);
        let wait = ACK_WAIT + Duration::from_millis(letter.file_size() / BYTES_PER_MS);
        let unsent = letter.clone();
        let (sender, receiver) = oneshot::channel();
        let accepted = self.network.accept(device, letter, Some(sender)).await;
        accepted.map_err(|error| match error {
            AcceptError::Full => {
                self.network.files.drop_of(&unsent);
                full()
            }
            AcceptError::Journal(error) => storage(error),
        })?;
        match timeout(wait, receiver).await {
            Ok(Ok(result)) => result.map_err(storage)?,
            Ok(Err(_)) | Err(_) => return Err(not_acknowledged()),
        }
        Ok(json!({ "messageId": id.to_string() }))
    }

    fn message(
        &self,
        fields: &Fields<'_>,
        device: &Device,
        content: Content,
        file: Option<&Draft>,
    ) -> Result<Incoming, SettingError> {
        let from_me = fields.flag("fromMe")?.unwrap_or(false);
        let (chat, from) = if from_me { from_here(fields, device)? } else { sender(fields)? };
        let caption = file.and_then(|draft| draft.caption.as_deref());
        let body = match fields.text_or_empty("body", MAX_BODY)? {
            Some(_) if caption.is_some() => {
                return Err(fields.wrong("body", "is for files without a caption"));
            }
            Some("") | None if file.is_none() && content == Content::Text => {
                return Err(fields.wrong("body", "is required"));
            }
            given => given.or(caption).unwrap_or_default().to_owned(),
        };
        let known = || device.settings().and_then(|settings| generator::name_of(&settings, &from));
        let notify_name = fields.text("notifyName", MAX_NAME)?.map(str::to_owned).or_else(known);
        let timestamp = fields.time("timestamp")?.unwrap_or_else(|| self.now());
        let text = Incoming::text(self.network_id(fields)?, chat, from, body, timestamp);
        Ok(Incoming {
            from_me,
            content,
            mentions: fields.jids("mentions", MAX_MENTIONS)?,
            forwarded: fields.flag("forwarded")?.unwrap_or(false),
            notify_name: notify_name.filter(|_| !from_me),
            ..text
        })
    }

    fn network_id(&self, fields: &Fields<'_>) -> Result<NetworkId, SettingError> {
        match fields.text("networkId", MAX_ID)? {
            None => Ok(NetworkId::random(self.random)),
            Some(text) => text.parse().map_err(|error| fields.wrong("networkId", format!("{error}"))),
        }
    }

    /// The quoted message, from what the network remembers, else from what the call says.
    async fn quoted(
        &self,
        device: &Device,
        fields: &Fields<'_>,
        quote: Quote,
    ) -> Result<Quoted, ControlError> {
        let body = fields.text_or_empty("quotedBody", MAX_BODY).map_err(invalid)?.map(str::to_owned);
        if let Some(found) = self.network.quoted(device, quote.clone()).await.map_err(storage)? {
            return Ok(Quoted { body: body.unwrap_or(found.body), ..found });
        }
        let from_me = quote.from_me.unwrap_or(false);
        let author = match (from_me, &quote.participant) {
            (true, _) => device.me(),
            (false, Some(participant)) => Some(participant.clone()),
            (false, None) => (!quote.chat.is_group()).then(|| quote.chat.clone()),
        };
        let author = author.ok_or_else(|| {
            invalid(
                fields.wrong("quotedParticipant", "is required: the network does not remember who wrote it"),
            )
        })?;
        Ok(quote.by(from_me, author, body.unwrap_or_default()))
    }

    async fn enclosed(&self, draft: Draft) -> Result<NetworkAttachment, ControlError> {
        let bytes = match draft.bytes {
            DraftBytes::MadeUp { mimetype, size } => {
                Bytes::MadeUp { mimetype, seed: fake_media::seed(self.random), size }
            }
            DraftBytes::Given(bytes) => match self.network.files.keep(bytes, self.random).await {
                Ok(kept) => Bytes::Kept(kept),
                Err(KeepError::Full) => return Err(full()),
                Err(KeepError::Io(error)) => return Err(storage(error.into())),
            },
        };
        Ok(NetworkAttachment { kind: draft.kind, filename: draft.filename, bytes })
    }
}

/// The chat that the account wrote in on another device, and the account.
fn from_here(fields: &Fields<'_>, device: &Device) -> Result<(Jid, Jid), SettingError> {
    if fields.value("author").is_some() {
        return Err(fields.wrong("author", "is for messages of others"));
    }
    let chat = match fields.jid("groupId")? {
        Some(group) => group,
        None => fields.required("from", fields.jid("from")?)?,
    };
    if !matches!(chat.kind(), JidKind::Person | JidKind::Lid | JidKind::Group) {
        return Err(fields.wrong("from", "must be a person or a group"));
    }
    let me = device.me().ok_or_else(|| fields.wrong("fromMe", "is for a linked device"))?;
    Ok((chat, me))
}

fn quote(fields: &Fields<'_>, chat: &Jid) -> Result<Option<Quote>, SettingError> {
    let Some(text) = fields.text("quotedNetworkId", MAX_ID)? else {
        let without = ["quotedFromMe", "quotedParticipant", "quotedBody"];
        return match without.into_iter().find(|name| fields.value(name).is_some()) {
            Some(name) => Err(fields.wrong(name, "is for a message with quotedNetworkId")),
            None => Ok(None),
        };
    };
    let network_id = text.parse().map_err(|error| fields.wrong("quotedNetworkId", format!("{error}")))?;
    let participant = fields.jid("quotedParticipant")?;
    if participant.is_some() && !chat.is_group() {
        return Err(fields.wrong("quotedParticipant", "is for messages in a group"));
    }
    let from_me = fields.flag("quotedFromMe")?;
    Ok(Some(Quote { chat: chat.clone(), network_id, from_me, participant }))
}

fn id_of(message: &Incoming) -> MessageId {
    let by_member = message.chat.is_group() && !message.from_me;
    MessageId {
        from_me: message.from_me,
        chat: message.chat.clone(),
        network: message.network_id.clone(),
        participant: by_member.then(|| message.from.clone()),
    }
}

fn full() -> ControlError {
    impossible("network_full", "as many messages wait for this device as may; connect it first")
}
