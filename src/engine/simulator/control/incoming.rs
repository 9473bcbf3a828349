//! `incoming`: a contact writes to the device, or the account writes on another device.
//!
//! The request is answered when the daemon has acknowledged the message to the network.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::content::{Draft, DraftBytes, DraftContent, draft_content};
use super::request::{ACK_WAIT, Control, impossible, invalid, not_acknowledged, not_linked, sender, storage};
use crate::domain::content::Content;
use crate::domain::ids::NetworkId;
use crate::domain::jid::{Jid, JidKind};
use crate::engine::simulator::content::MAX_BODY;
use crate::engine::simulator::device::{AcceptError, Device};
use crate::engine::simulator::fields::Fields;
use crate::engine::simulator::network_message::{NetworkAttachment, NetworkMessage, Quote, id_of};
use crate::engine::simulator::{attachment, fake_media, generator};
use crate::engine::{ControlError, Incoming, Quoted, SettingError};

const FIELDS: [&str; 20] = [
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
/// The bytes of a file that extend the wait by a millisecond: 4 MiB in a second.
const BYTES_PER_MS: u64 = 4_194;

/// Accepts the message and waits for its acknowledgement.
pub(super) async fn incoming(
    control: &Control<'_>,
    device: &Arc<Device>,
    map: &Map<String, Value>,
) -> Result<Value, ControlError> {
    let fields = Fields::new("", map, &FIELDS).map_err(invalid)?;
    let DraftContent { content, file } = draft_content(&fields).map_err(invalid)?;
    let mut message = read_message(control, &fields, device, content, file.as_ref()).map_err(invalid)?;
    let quote = read_quote(&fields, &message.chat).map_err(invalid)?;
    if !device.is_linked() {
        return Err(not_linked());
    }
    if let Some(quote) = quote {
        message.quoted = Some(resolve_quote(control, device, &fields, quote).await?);
    }
    if message.chat.is_group() && !message.from_me {
        device.groups.add_writer(&device.group_context(), &message.chat, &message.from).await;
    }
    let id = id_of(&message);
    let message = attach(control, message, file).await?;
    let size = message.file.as_ref().map_or(0, |file| file.size);
    let wait = ACK_WAIT + Duration::from_millis(size / BYTES_PER_MS);
    let (waiter, acknowledged) = oneshot::channel();
    let delivered = async {
        device.accept(message, waiter).await.map_err(|error| match error {
            AcceptError::Full => {
                impossible("network_full", "too many messages wait for this device; connect it first")
            }
            AcceptError::Vault(error) => storage(error),
        })?;
        acknowledged.await.map_err(|_| not_acknowledged())
    };
    timeout(wait, delivered).await.unwrap_or_else(|_| Err(not_acknowledged()))?;
    Ok(json!({ "messageId": id.to_string() }))
}

/// Saves a given file in the media store; a fake one is generated when the message is delivered.
async fn attach(
    control: &Control<'_>,
    mut message: Incoming,
    file: Option<Draft>,
) -> Result<NetworkMessage, ControlError> {
    let Some(Draft { kind, filename, bytes, .. }) = file else { return Ok(message.into()) };
    match bytes {
        DraftBytes::Fake { mimetype, size } => {
            let seed = fake_media::seed(control.random);
            let file = Some(NetworkAttachment { kind, filename, mimetype, seed, size });
            Ok(NetworkMessage { message, file })
        }
        DraftBytes::Given(bytes) => {
            let bytes = stream::once(async { Ok(Bytes::from(bytes)) }).boxed();
            message.content =
                attachment::save(control.media, bytes, kind, filename).await.map_err(storage)?;
            Ok(message.into())
        }
    }
}

fn read_message(
    control: &Control<'_>,
    fields: &Fields<'_>,
    device: &Device,
    content: Content,
    file: Option<&Draft>,
) -> Result<Incoming, SettingError> {
    let from_me = fields.flag("fromMe")?.unwrap_or(false);
    let (chat, from) = if from_me { own_sender(fields, device)? } else { sender(fields)? };
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
    let contact_name = || device.settings().and_then(|settings| generator::name_of(&settings, &from));
    let notify_name = fields.text("notifyName", MAX_NAME)?.map(str::to_owned).or_else(contact_name);
    let timestamp = fields.time("timestamp")?.unwrap_or_else(|| control.clock.now());
    let network_id = match fields.text("networkId", MAX_ID)? {
        None => NetworkId::random(control.random),
        Some(text) => text.parse().map_err(|error| fields.wrong("networkId", format!("{error}")))?,
    };
    let text = Incoming::text(network_id, chat, from, body, timestamp);
    Ok(Incoming {
        from_me,
        content,
        mentions: fields.jids("mentions", MAX_MENTIONS)?,
        forwarded: fields.flag("forwarded")?.unwrap_or(false),
        notify_name: notify_name.filter(|_| !from_me),
        ..text
    })
}

/// The quoted message, from the network where it still has it, otherwise from the request.
async fn resolve_quote(
    control: &Control<'_>,
    device: &Device,
    fields: &Fields<'_>,
    quote: Quote,
) -> Result<Quoted, ControlError> {
    let body = fields.text_or_empty("quotedBody", MAX_BODY).map_err(invalid)?.map(str::to_owned);
    if let Some(found) = control.network.quoted(device, quote.clone()).await.map_err(storage)? {
        return Ok(Quoted { body: body.unwrap_or(found.body), ..found });
    }
    let from_me = quote.from_me.unwrap_or(false);
    let author = match (from_me, &quote.participant) {
        (true, _) => device.me(),
        (false, Some(participant)) => Some(participant.clone()),
        (false, None) => (!quote.chat.is_group()).then(|| quote.chat.clone()),
    };
    let author = author.ok_or_else(|| {
        invalid(fields.wrong("quotedParticipant", "is required: the network no longer has the message"))
    })?;
    Ok(quote.by(from_me, author, body.unwrap_or_default()))
}

/// The chat in which the account wrote on another device, and the account.
fn own_sender(fields: &Fields<'_>, device: &Device) -> Result<(Jid, Jid), SettingError> {
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

fn read_quote(fields: &Fields<'_>, chat: &Jid) -> Result<Option<Quote>, SettingError> {
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
