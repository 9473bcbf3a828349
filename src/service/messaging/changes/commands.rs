//! Message changes that a client requests: reactions, votes, edits, revocations, stars and removals.
//!
//! A change that other people see is sent to the network first and stored after the network accepts it. A
//! change that only this account sees is stored at once and synchronized later. Changes to one message run
//! one at a time and may be repeated. A message still waiting in the outbox changes only here.

use super::{Applied, MessageUpdate, Target, apply};
use crate::domain::ack::Ack;
use crate::domain::change_window::{can_edit, can_revoke};
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::{Jid, JidKind};
use crate::domain::message::{Message, MessageType};
use crate::engine::{Capabilities, EditContext, MessageChange};
use crate::service::messaging::outbox::{store_given_up, taken_back};
use crate::service::messaging::pending_sync;
use crate::service::{Messaging, ServiceError};
use crate::store::outbox::OutboxRow;
use crate::store::pending_sync::PendingSync;

/// Longest reaction in bytes: one emoji with all its modifiers fits.
const MAX_EMOJI_BYTES: usize = 64;

/// How far an outgoing message is on its way to the network.
enum DeliveryStage {
    /// It is in the outbox, and the network does not have it: it was never sent, or the send failed.
    Waits(Box<OutboxRow>),
    /// It is being sent, or the outcome of its send is unknown.
    Leaving,
    /// It is not in the outbox: the network has it, it came from the network, or it failed.
    Over,
}

impl Messaging {
    /// Reacts to a message; an empty emoji removes the reaction.
    ///
    /// # Errors
    /// When there is no such message, or the network does not have it. When the device is not connected, its
    /// engine does not support reactions, or the network refuses.
    pub async fn react(
        &self,
        device: &DeviceId,
        id: &MessageId,
        emoji: &str,
    ) -> Result<Message, ServiceError> {
        if !is_reaction(emoji) {
            return Err(ServiceError::invalid("emoji", "must be one emoji, or empty to remove it"));
        }
        self.supports(device, |c| c.react)?;
        let id = &self.permanent(device, id).await?;
        let _turn = self.message_locks.take(device, id).await;
        self.network_message(device, id).await?;
        let from = self.own_jid(device).await?;
        let (emoji, at) = (emoji.to_owned(), self.clock.now());
        self.send_change(device, MessageChange::React { id: id.clone(), emoji: emoji.clone(), at }).await?;
        self.change(device, id, MessageUpdate::React { from, from_me: true, emoji, at }).await
    }

    /// Votes in a poll; an empty list removes the vote.
    ///
    /// # Errors
    /// As [`Messaging::react`], and when the message is not a poll or an option is not one of its answers.
    pub async fn vote(
        &self,
        device: &DeviceId,
        id: &MessageId,
        mut options: Vec<String>,
    ) -> Result<Message, ServiceError> {
        self.supports(device, |c| c.polls)?;
        let id = &self.permanent(device, id).await?;
        let _turn = self.message_locks.take(device, id).await;
        let message = self.network_message(device, id).await?;
        let poll = message.poll.ok_or_else(|| impossible("not_a_poll", "this message is not a poll"))?;
        if let Some(unknown) = options.iter().position(|option| !poll.options.contains(option)) {
            return Err(ServiceError::invalid(
                format!("options[{unknown}]"),
                "is not an answer of this poll",
            ));
        }
        // A repeated answer counts once.
        let mut given = std::collections::HashSet::new();
        options.retain(|option| given.insert(option.clone()));
        if options.len() > 1 && !poll.allow_multiple_answers {
            return Err(ServiceError::invalid("options", "this poll takes one answer only"));
        }
        let (voter, at) = (self.own_jid(device).await?, self.clock.now());
        let change = MessageChange::Vote { id: id.clone(), options: options.clone(), at };
        self.send_change(device, change).await?;
        self.change(device, id, MessageUpdate::Vote { voter, from_me: true, options, at }).await
    }

    /// Changes the text of a message that this account wrote, or the caption of its file.
    ///
    /// # Errors
    /// When there is no such message, another person wrote it, it has no text, it is being sent, or was sent
    /// more than 15 minutes ago. When the device is not connected, its engine does not support edits, or the network refuses.
    pub async fn edit(
        &self,
        device: &DeviceId,
        id: &MessageId,
        body: String,
    ) -> Result<Message, ServiceError> {
        self.supports(device, |c| c.edit)?;
        let id = &self.permanent(device, id).await?;
        let _turn = self.message_locks.take(device, id).await;
        let message = self.message(device, id).await?.message;
        if !message.from_me {
            return Err(impossible("not_own_message", "only messages of this account can be edited"));
        }
        if message.kind != MessageType::Chat && !message.has_media {
            return Err(impossible("not_editable", "only texts and captions can be edited"));
        }
        self.check_account(device, &message).await?;
        let at = self.edit_timestamp(device, id).await?;
        if self.change_queued(device, id, MessageUpdate::Edit { body: body.clone(), at }).await? {
            return Ok(self.message(device, id).await?.message);
        }
        let message = self.network_message(device, id).await?;
        if !can_edit(self.sent_at(device, &message).await?, self.clock.now()) {
            return Err(impossible(
                "too_late_to_edit",
                "messages can be edited for 15 minutes after they were sent",
            ));
        }
        let context = Box::new(EditContext::of(message));
        let change = MessageChange::Edit { id: id.clone(), body: body.clone(), at, context };
        self.send_change(device, change).await?;
        self.change(device, id, MessageUpdate::Edit { body, at }).await
    }

    /// Revokes a message for everyone. A message still waiting in the outbox is not sent.
    ///
    /// # Errors
    /// When there is no such message, this account may not revoke it, it is being sent, or was sent more
    /// than 60 hours ago. When the device is not connected, its engine does not support revocation, or the network refuses.
    pub async fn revoke(&self, device: &DeviceId, id: &MessageId) -> Result<(), ServiceError> {
        self.supports(device, |c| c.revoke)?;
        let id = &self.permanent(device, id).await?;
        let _turn = self.message_locks.take(device, id).await;
        let message = self.message(device, id).await?.message;
        if message.kind == MessageType::Revoked {
            return Ok(());
        }
        if !message.from_me && !message.chat_id.is_group() {
            return Err(impossible(
                "not_own_message",
                "only messages of this account can be taken back for everyone",
            ));
        }
        self.check_account(device, &message).await?;
        if self.change_queued(device, id, MessageUpdate::Revoke).await? {
            return Ok(());
        }
        let message = self.network_message(device, id).await?;
        if !can_revoke(self.sent_at(device, &message).await?, self.clock.now()) {
            return Err(impossible(
                "too_late_to_revoke",
                "messages can be deleted for everyone for 60 hours after they were sent; forEveryone: false \
                 deletes it from this account",
            ));
        }
        self.send_change(device, MessageChange::Revoke { id: id.clone() }).await?;
        self.change(device, id, MessageUpdate::Revoke).await.map(drop)
    }

    /// Removes a message from this account only. A message still waiting in the outbox is not sent. A message
    /// that may have arrived is not resent, and its receipts are still stored.
    ///
    /// # Errors
    /// When there is no such message, or the store fails.
    pub async fn delete_for_me(&self, device: &DeviceId, id: &MessageId) -> Result<(), ServiceError> {
        let id = &self.permanent(device, id).await?;
        if self.change_queued(device, id, MessageUpdate::Hide).await? {
            return Ok(());
        }
        self.store_change(device, id, MessageUpdate::Hide).await?;
        self.try_send_change(device, MessageChange::DeleteForMe { id: id.clone() }).await;
        Ok(())
    }

    /// Stars or unstars a message.
    ///
    /// # Errors
    /// When there is no such message, or the store fails.
    pub async fn star(&self, device: &DeviceId, id: &MessageId, on: bool) -> Result<Message, ServiceError> {
        let message = self.change(device, id, MessageUpdate::Star(on)).await?;
        self.flush_pending_sync(device).await;
        Ok(message)
    }

    /// When a message was sent. Its timestamp is that of the request, and it may have been queued for longer.
    async fn sent_at(&self, device: &DeviceId, message: &Message) -> Result<Millis, ServiceError> {
        let (device, id) = (device.clone(), message.id.clone());
        let sent = self.store.read(move |store| store.sent_at(&device, &id)).await?;
        Ok(sent.unwrap_or(message.timestamp))
    }

    /// A timestamp after every earlier edit, so that the network and this store agree on the last edit.
    async fn edit_timestamp(&self, device: &DeviceId, id: &MessageId) -> Result<Millis, ServiceError> {
        let (device, id, now) = (device.clone(), id.clone(), self.clock.now());
        let last = self.store.read(move |store| store.edited_at(&device, &id)).await?;
        Ok(last.map_or(now, |last| now.max(last.plus(1))))
    }

    fn supports(&self, device: &DeviceId, capability: fn(&Capabilities) -> bool) -> Result<(), ServiceError> {
        if capability(&self.capabilities_of(device)?) { Ok(()) } else { Err(ServiceError::NotSupported) }
    }

    async fn own_jid(&self, device: &DeviceId) -> Result<Jid, ServiceError> {
        let device = device.clone();
        let found = self.store.read(move |store| store.device(&device)).await?;
        let account = found.ok_or(ServiceError::DeviceNotFound)?.account;
        account.and_then(|account| account.jid()).ok_or(ServiceError::NotLinked)
    }

    /// Refuses to change a message of another account that was linked to this device earlier.
    async fn check_account(&self, device: &DeviceId, message: &Message) -> Result<(), ServiceError> {
        if !message.from_me || message.from.kind() != JidKind::Person {
            return Ok(());
        }
        match self.own_jid(device).await {
            Ok(own) if own != message.from => Err(impossible(
                "not_own_message",
                "another account that was linked to this device before wrote this message",
            )),
            _ => Ok(()),
        }
    }

    /// Returns the message if the network has it: only then can it be reacted to, or changed for others.
    async fn network_message(&self, device: &DeviceId, id: &MessageId) -> Result<Message, ServiceError> {
        let message = self.message(device, id).await?.message;
        match (message.kind, message.ack) {
            (MessageType::Revoked, _) => Err(impossible("message_revoked", "this message was taken back")),
            (_, Ack::Pending) => {
                Err(ServiceError::WrongState("this message is being sent; try again in a moment".to_owned()))
            }
            (_, Ack::Error) => Err(impossible("message_failed", "this message was never delivered")),
            _ => Ok(message),
        }
    }

    async fn send_change(&self, device: &DeviceId, change: MessageChange) -> Result<(), ServiceError> {
        Ok(self.registry.session(device)?.change_message(change).await?)
    }

    async fn try_send_change(&self, device: &DeviceId, change: MessageChange) {
        if let Ok(session) = self.registry.session(device)
            && let Err(error) = session.change_message(change).await
        {
            tracing::info!(%device, %error, "a message change could not be sent to the network");
        }
    }

    async fn change(
        &self,
        device: &DeviceId,
        id: &MessageId,
        change: MessageUpdate,
    ) -> Result<Message, ServiceError> {
        self.store_change(device, id, change).await?;
        Ok(self.message(device, id).await?.message)
    }

    async fn store_change(
        &self,
        device: &DeviceId,
        id: &MessageId,
        change: MessageUpdate,
    ) -> Result<(), ServiceError> {
        let (of, which, links, now) = (device.clone(), id.clone(), self.media.link_base(), self.clock.now());
        let (chat, applied) = self
            .store
            .write(move |tx| {
                let found = tx.found_here(&of, &which)?.ok_or(ServiceError::MessageNotFound)?;
                let applied = apply(tx, &Target { device: &of, found: &found }, &change, &links, now)?;
                if let MessageUpdate::Star(on) = change
                    && applied.changed
                {
                    pending_sync::note(
                        tx,
                        &of,
                        &found.chat,
                        &PendingSync::Star { id: found.id.clone(), on },
                        now,
                    )?;
                }
                Ok::<_, ServiceError>((found.chat, applied))
            })
            .await?;
        self.after(device, &chat, applied);
        Ok(())
    }

    /// Changes a message that waits in the outbox. `false` when it is no longer in the outbox.
    async fn change_queued(
        &self,
        device: &DeviceId,
        id: &MessageId,
        change: MessageUpdate,
    ) -> Result<bool, ServiceError> {
        let (of, which, links, now) = (device.clone(), id.clone(), self.media.link_base(), self.clock.now());
        let cancels = !matches!(change, MessageUpdate::Edit { .. });
        let applied: Option<(Jid, Applied)> = self
            .store
            .write(move |tx| {
                let found = tx.found_here(&of, &which)?.ok_or(ServiceError::MessageNotFound)?;
                let row = match delivery_stage(tx.outbox_row_of(found.pk)?) {
                    DeliveryStage::Waits(row) => row,
                    DeliveryStage::Leaving if !matches!(change, MessageUpdate::Hide) => {
                        return Err(being_sent());
                    }
                    DeliveryStage::Leaving | DeliveryStage::Over => return Ok(None),
                };
                if cancels {
                    store_given_up(tx, &of, &row, &taken_back(), now)?;
                }
                let applied = apply(tx, &Target { device: &of, found: &found }, &change, &links, now)?;
                Ok(Some((found.chat, applied)))
            })
            .await?;
        let Some((chat, applied)) = applied else { return Ok(false) };
        if cancels {
            self.recheck_queue(device);
        }
        self.after(device, &chat, applied);
        Ok(true)
    }
}

fn delivery_stage(row: Option<OutboxRow>) -> DeliveryStage {
    match row {
        None => DeliveryStage::Over,
        // The sender marks the row first and reads the text after that, so the text may still change.
        Some(row) if row.sending_since.is_none() => DeliveryStage::Waits(Box::new(row)),
        Some(_) => DeliveryStage::Leaving,
    }
}

fn being_sent() -> ServiceError {
    ServiceError::WrongState("this message is being sent; try again in a moment".to_owned())
}

/// Whether a text is empty or may be an emoji: not only ASCII, and no letters, spaces or controls.
fn is_reaction(text: &str) -> bool {
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !c.is_ascii_alphabetic();
    text.is_empty() || (text.len() <= MAX_EMOJI_BYTES && text.chars().all(fits) && !text.is_ascii())
}

fn impossible(code: &'static str, message: &str) -> ServiceError {
    ServiceError::Impossible { code, message: message.to_owned() }
}
