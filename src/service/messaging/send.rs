//! Accepts messages for sending.
//!
//! A message, its outbox row and its events are one transaction, committed before the request is answered.

use crate::domain::ack::{Ack, Status};
use crate::domain::clock::Millis;
use crate::domain::content::Content;
use crate::domain::device::{Account, Device};
use crate::domain::event::{Event, MessageCreatedEvent};
use crate::domain::ids::{DeviceId, MessageId, NetworkId};
use crate::domain::jid::Jid;
use crate::domain::message::{Message, MessageType, SentBy};
use crate::domain::outbox::Priority;
use crate::domain::state::State;
use crate::engine::Capabilities;
use crate::service::log::bridge_inbound::{self, BridgeAuthor, OperatorSend};
use crate::service::media::links::LinkBase;
use crate::service::{Messaging, SendMedia, ServiceError};
use crate::store::idempotency::StoredAnswer;
use crate::store::messages::NewMessage;
use crate::store::outbox::NewOutboxRow;
use crate::store::{Reader, Tx};

/// A request to send a message.
#[derive(Debug, Clone)]
pub struct SendRequest {
    /// The chat to which the message goes.
    pub to: Jid,
    /// The text, or the caption of a file.
    pub text: String,
    /// The content besides the text.
    pub content: SendContent,
    /// The message that this one replies to.
    pub quoted: Option<MessageId>,
    /// The people mentioned in the text.
    pub mentions: Vec<Jid>,
    /// Whether the message is marked as forwarded.
    pub forwarded: bool,
    /// The client's own id of the message.
    pub temp_id: Option<String>,
    /// The priority in the outbox.
    pub priority: Priority,
    /// The earliest moment to send it; at once if `None`.
    pub send_at: Option<Millis>,
    /// A request with the same key within a day gets the same answer and sends nothing again.
    pub idempotency: Option<IdempotencyKey>,
}

/// The content of a message besides its text.
#[derive(Debug, Clone, PartialEq)]
pub enum SendContent {
    /// Content that is ready to be stored; a file is in the media store already.
    Ready(Content),
    /// A file that has to be fetched and stored first.
    Media(SendMedia),
}

/// Identifies a request, so that it can be repeated safely.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// The key that the client chose.
    pub key: String,
    /// A hash of the request, to detect a key used for another request.
    pub fingerprint: Vec<u8>,
}

impl IdempotencyKey {
    /// The key of one message of a request that sends several.
    pub(in crate::service) fn of_part(self, index: usize) -> Self {
        Self { key: format!("{} {index}", self.key), ..self }
    }
}

/// The answer to a [`SendRequest`].
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The message's permanent id.
    pub id: MessageId,
    /// The chat to which it goes, by its canonical id.
    pub chat_id: Jid,
    /// When it was accepted.
    pub timestamp: Millis,
    /// The client's own id of the message.
    pub temp_id: Option<String>,
    /// The message's status: always `queued`.
    pub status: Status,
    /// The message's level: always 0 (pending).
    pub ack: Ack,
    /// Whether this repeats the answer to an earlier request with the same key.
    pub replayed: bool,
}

impl Messaging {
    /// Accepts a message. The answer is returned after the message is durable.
    ///
    /// # Errors
    /// When the device does not exist or is not linked, its outbox is full, or the store fails. When the
    /// idempotency key belongs to another request.
    pub async fn send(&self, device: &DeviceId, request: SendRequest) -> Result<Accepted, ServiceError> {
        self.send_by(self.acceptance(device), request).await
    }

    /// Accepts a message of an operator, and adds it to the operator's conversation.
    pub(in crate::service) async fn send_as_operator(
        &self,
        device: &DeviceId,
        request: SendRequest,
        author: OperatorSend,
    ) -> Result<Accepted, ServiceError> {
        let author = BridgeAuthor::Operator(author);
        self.send_by(Acceptance { author, ..self.acceptance(device) }, request).await
    }

    async fn send_by(
        &self,
        acceptance: Acceptance,
        mut request: SendRequest,
    ) -> Result<Accepted, ServiceError> {
        let device = &acceptance.device.clone();
        self.check_supported(device, &request.content)?;
        let mut reserved = None;
        if let SendContent::Media(media) = &request.content {
            if let Some(answer) = self.answered_before(&acceptance, &request).await? {
                return Ok(answer);
            }
            let attachment = self.media.resolve_media(device, media).await?;
            reserved = Some(attachment.file.hash.clone());
            request.content = SendContent::Ready(Content::Media(attachment));
        }
        let accepted = self.store.write(move |tx| acceptance.accept(tx, &request)).await;
        if let Some(hash) = reserved {
            self.media.release_reservation(&hash);
        }
        let accepted = accepted?;
        self.registry.wake_outbox(device);
        if !accepted.replayed {
            self.chat_changed(device, &accepted.chat_id);
        }
        Ok(accepted)
    }

    /// Accepts several messages, all of them or none. Their files must be in the media store.
    ///
    /// # Errors
    /// As [`Messaging::send`].
    pub(in crate::service) async fn send_together(
        &self,
        device: &DeviceId,
        requests: Vec<SendRequest>,
    ) -> Result<Vec<Accepted>, ServiceError> {
        requests.iter().try_for_each(|request| self.check_supported(device, &request.content))?;
        let work: Vec<_> = requests.into_iter().map(|request| (self.acceptance(device), request)).collect();
        let accepted: Vec<Accepted> = self
            .store
            .write(move |tx| {
                let all = work.iter().map(|(acceptance, request)| acceptance.accept(tx, request));
                all.collect::<Result<_, ServiceError>>()
            })
            .await?;
        self.registry.wake_outbox(device);
        for fresh in accepted.iter().filter(|accepted| !accepted.replayed) {
            self.chat_changed(device, &fresh.chat_id);
        }
        Ok(accepted)
    }

    fn acceptance(&self, device: &DeviceId) -> Acceptance {
        let now = self.clock.now();
        Acceptance {
            device: device.clone(),
            network_id: NetworkId::random(&*self.random),
            now,
            max_queued: self.limits.outbox.max_queued,
            idempotency_from: now.plus(-self.limits.idempotency_ttl_ms),
            links: self.media.link_base(),
            author: BridgeAuthor::Api,
        }
    }

    /// Checks a request before its file is fetched: a repeated or a refused request needs no file.
    async fn answered_before(
        &self,
        acceptance: &Acceptance,
        request: &SendRequest,
    ) -> Result<Option<Accepted>, ServiceError> {
        let (acceptance, request) = (acceptance.clone(), request.clone());
        self.store
            .read(move |store| {
                let device = store.device(&acceptance.device)?.ok_or(ServiceError::DeviceNotFound)?;
                let earlier = acceptance.earlier_answer(store, &request)?;
                if earlier.is_none() {
                    linked_account(&device)?;
                }
                Ok(earlier)
            })
            .await
    }

    fn check_supported(&self, device: &DeviceId, content: &SendContent) -> Result<(), ServiceError> {
        let capabilities = self.capabilities_of(device)?;
        let supported = match content {
            SendContent::Media(_) | SendContent::Ready(Content::Media(_)) => capabilities.media,
            SendContent::Ready(Content::Location(_)) => capabilities.location,
            SendContent::Ready(Content::Contacts(_)) => capabilities.contacts,
            SendContent::Ready(Content::Poll(_)) => capabilities.polls,
            SendContent::Ready(Content::Template(_)) => capabilities.templates,
            SendContent::Ready(Content::Text | Content::Other(_)) => true,
        };
        if supported { Ok(()) } else { Err(ServiceError::NotSupported) }
    }

    /// The capabilities of a device's engine.
    pub(in crate::service) fn capabilities_of(
        &self,
        device: &DeviceId,
    ) -> Result<Capabilities, ServiceError> {
        let engine = self.registry.engine_of(device)?;
        self.registry.capabilities(&engine).ok_or(ServiceError::NotSupported)
    }
}

#[derive(Clone)]
struct Acceptance {
    device: DeviceId,
    network_id: NetworkId,
    now: Millis,
    max_queued: usize,
    idempotency_from: Millis,
    links: LinkBase,
    author: BridgeAuthor,
}

impl Acceptance {
    fn accept(&self, tx: &Tx<'_>, request: &SendRequest) -> Result<Accepted, ServiceError> {
        let device = tx.device(&self.device)?.ok_or(ServiceError::DeviceNotFound)?;
        if let Some(answer) = self.earlier_answer(tx, request)? {
            return Ok(answer);
        }
        let account = linked_account(&device)?;
        let request = &self.canonicalize(tx, request)?;
        let waiting = usize::try_from(tx.outbox_len(&self.device)?).unwrap_or(usize::MAX);
        if waiting >= self.max_queued {
            return Err(ServiceError::OutboxFull(waiting));
        }
        let message = self.message(tx, request, account)?;
        self.store(tx, request, &message)?;
        Ok(Accepted {
            id: message.id,
            chat_id: message.chat_id,
            timestamp: self.now,
            temp_id: request.temp_id.clone(),
            status: Status::Queued,
            ack: Ack::Pending,
            replayed: false,
        })
    }

    fn earlier_answer(
        &self,
        tx: &Reader<'_>,
        request: &SendRequest,
    ) -> Result<Option<Accepted>, ServiceError> {
        let Some(idempotency) = &request.idempotency else { return Ok(None) };
        let Some(earlier) = tx.stored_answer(&self.device, &idempotency.key, self.idempotency_from)? else {
            return Ok(None);
        };
        if earlier.fingerprint != idempotency.fingerprint {
            return Err(ServiceError::IdempotencyMismatch);
        }
        // The message may have been removed since; the same request still gets the same answer.
        let row = tx.ack_row(&self.device, &earlier.message_id)?;
        let timestamp = row.as_ref().map_or(self.now, |row| row.stored_at);
        let chat_id = row.map_or_else(|| earlier.message_id.chat.clone(), |row| row.chat);
        Ok(Some(Accepted {
            chat_id,
            id: earlier.message_id,
            timestamp,
            temp_id: request.temp_id.clone(),
            status: Status::Queued,
            ack: Ack::Pending,
            replayed: true,
        }))
    }

    /// Canonicalizes the recipient and the mentions.
    fn canonicalize(&self, tx: &Tx<'_>, request: &SendRequest) -> Result<SendRequest, ServiceError> {
        let mut request = request.clone();
        tx.canonicalize_ids(&self.device, &mut request.to)?;
        tx.canonicalize_ids(&self.device, &mut request.mentions)?;
        Ok(request)
    }

    fn message(
        &self,
        tx: &Tx<'_>,
        request: &SendRequest,
        account: &Account,
    ) -> Result<Message, ServiceError> {
        let SendContent::Ready(content) = &request.content else { return Err(ServiceError::NotSupported) };
        if let Content::Media(attachment) = content
            && tx.media(&attachment.file.hash)?.is_none()
        {
            let message = "the file of this message was deleted".to_owned();
            return Err(ServiceError::Impossible { code: "media_gone", message });
        }
        let me = account.jid().unwrap_or_else(|| request.to.clone());
        Ok(Message {
            id: MessageId {
                from_me: true,
                chat: request.to.clone(),
                network: self.network_id.clone(),
                participant: None,
            },
            chat_id: request.to.clone(),
            author: request.to.is_group().then(|| me.clone()),
            from: me,
            to: request.to.clone(),
            from_me: true,
            body: request.text.clone(),
            kind: MessageType::Chat,
            timestamp: self.now,
            ack: Ack::Pending,
            has_media: false,
            media: None,
            location: None,
            contacts: Vec::new(),
            poll: None,
            template: None,
            quoted_message: self.quoted(tx, request)?,
            is_forwarded: request.forwarded,
            is_starred: false,
            is_edited: false,
            notify_name: account.client_name.clone(),
            mentioned_ids: request.mentions.clone(),
            reactions: Vec::new(),
            sent_by: self.sent_by(tx)?,
        }
        .with_content(content.clone()))
    }

    /// The operator who writes the message.
    fn sent_by(&self, tx: &Tx<'_>) -> Result<Option<SentBy>, ServiceError> {
        let BridgeAuthor::Operator(send) = &self.author else { return Ok(None) };
        let operator = tx.chat_user_by_pk(send.user)?;
        Ok(operator.map(|user| SentBy {
            id: format!("{}:{}", user.tenant, user.id),
            name: user.display_name().to_owned(),
        }))
    }

    fn quoted(&self, tx: &Tx<'_>, request: &SendRequest) -> Result<Option<Box<Message>>, ServiceError> {
        let Some(id) = &request.quoted else { return Ok(None) };
        let found = tx.message(&self.device, id)?.filter(|quoted| quoted.message.chat_id == request.to);
        let quoted = found.ok_or_else(|| ServiceError::Impossible {
            code: "quoted_message_not_found",
            message: "quotedMessageId names no message of this chat".to_owned(),
        })?;
        Ok(Some(Box::new(quoted.message.as_quote())))
    }

    fn store(&self, tx: &Tx<'_>, request: &SendRequest, message: &Message) -> Result<(), ServiceError> {
        let temp_id = request.temp_id.as_deref();
        let new = NewMessage { message, status: Status::Queued, stored_at: self.now, unread: false, temp_id };
        // The id has 72 random bits: a clash means a broken random source, and no message may be lost to it.
        let pk = tx.insert_message(&self.device, &new)?.ok_or(crate::store::StoreError::RolledBack)?;
        tx.touch_chat(&self.device, &message.chat_id, pk, self.now, false)?;
        tx.enqueue(
            &self.device,
            &NewOutboxRow {
                message_pk: pk,
                chat: &message.chat_id,
                priority: request.priority,
                // Unscheduled messages are ordered by arrival alone, independent of the clock.
                due: request.send_at.filter(|at| *at > self.now).unwrap_or(Millis(0)),
            },
        )?;
        if let Some(idempotency) = &request.idempotency {
            let answer =
                StoredAnswer { fingerprint: idempotency.fingerprint.clone(), message_id: message.id.clone() };
            tx.store_answer(&self.device, &idempotency.key, &answer, self.now)?;
        }
        let mut message = message.clone();
        self.links.attach_all(tx, &self.device, [&mut message])?;
        let status = Event::status(&message.id, &message.chat_id, Status::Queued, temp_id);
        let created = MessageCreatedEvent { message, temp_id: request.temp_id.clone() };
        tx.append(&self.device, &Event::MessageCreated(created), self.now)?;
        tx.append(&self.device, &status, self.now)?;
        let chat = &request.to;
        bridge_inbound::record_message(tx, &self.device, chat, pk, &self.author, self.now)?;
        Ok(())
    }
}

/// The account of a device. Offline devices accept messages, because the outbox is durable; devices
/// without an account do not.
fn linked_account(device: &Device) -> Result<&Account, ServiceError> {
    match (&device.state, &device.account) {
        (State::LoggedOut { .. }, _) | (_, None) => Err(ServiceError::NotLinked),
        (_, Some(account)) => Ok(account),
    }
}
