//! Ingests callbacks: first the entries without a file, in order, then messages with files in parallel.
//!
//! A callback succeeds once all of it is durable; else Meta repeats it.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::convert::ids::{self, MessageAliases};
use super::convert::message_in::{self, CloudEvent, MessageContext, RemoteFile};
use super::convert::status_in;
use super::convert::wire::{Call, CallbackValues, Status};
use super::media;
use super::session::CloudSession;
use crate::domain::content::Content;
use crate::domain::event::CallStatus;
use crate::domain::jid::Jid;
use crate::engine::{CallbackError, EngineEvent, InboundError, Incoming};

/// A message whose file is still at Meta.
type MessageWithFile = (Box<Incoming>, RemoteFile);

impl CloudSession {
    /// Ingests the values of a callback. Downloads end at the deadline.
    pub(super) async fn ingest(
        &self,
        callback: Vec<CallbackValues>,
        deadline: Instant,
    ) -> Result<(), CallbackError> {
        let me = self.base.me().filter(|_| self.base.is_online());
        let me = me.ok_or_else(|| unavailable("the device is not connected now"))?;
        let mut unreadable = Vec::new();
        let mut with_files = Vec::new();
        for values in &callback {
            unreadable.extend(&values.unreadable);
            self.ingest_people(values).await?;
            let aliases = self.aliases_of(values).await?;
            let context = MessageContext {
                contacts: &values.contacts,
                aliases: &aliases,
                me: &me,
                now: self.context.now(),
            };
            for message in &values.messages {
                match message_in::event(message, &context) {
                    Some(CloudEvent::Change(event)) => self.deliver(event).await?,
                    Some(CloudEvent::Message(message, Some(file))) => with_files.push((message, file)),
                    Some(CloudEvent::Message(message, None)) => self.ingest_message(message).await?,
                    None => unreadable.push("a message without an author"),
                }
            }
            for status in &values.statuses {
                self.ingest_status(status, &aliases).await?;
            }
            for call in &values.calls {
                self.ingest_call(call).await?;
            }
        }
        unreadable.into_iter().for_each(|part| self.base.log_read_error(part));
        let fetched = with_files.into_iter().map(|message| self.ingest_with_file(message, deadline));
        join_all(fetched).await.into_iter().collect()
    }

    /// Our messages that these values refer to.
    async fn aliases_of(&self, values: &CallbackValues) -> Result<MessageAliases, CallbackError> {
        let wamids = values.messages.iter().flat_map(message_in::referenced_ids);
        let wamids = wamids.chain(values.statuses.iter().map(|status| status.id.clone())).collect();
        self.ids.many_from_upstream(wamids).await.map_err(|_| not_stored())
    }

    async fn ingest_people(&self, values: &CallbackValues) -> Result<(), CallbackError> {
        let people = message_in::identities(&values.contacts);
        let new: Vec<_> = people.into_iter().filter(|person| self.is_new_person(person)).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.deliver(EngineEvent::Contacts(new.clone())).await?;
        new.iter().for_each(|person| self.remember_person(person));
        Ok(())
    }

    async fn ingest_with_file(
        &self,
        (mut message, file): MessageWithFile,
        deadline: Instant,
    ) -> Result<(), CallbackError> {
        let wamid = message.network_id.to_string();
        if self.number.media_retries.is_finished(&wamid) {
            return Ok(());
        }
        if let Some(attachment) = media::fetch(self, &wamid, &file, deadline).await? {
            message.content = Content::Media(attachment);
        }
        self.ingest_message(message).await?;
        self.number.media_retries.finish(&wamid);
        Ok(())
    }

    async fn ingest_message(&self, message: Box<Incoming>) -> Result<(), CallbackError> {
        let last = (!message.from_me).then(|| (message.chat.clone(), message.network_id.to_string()));
        self.deliver(EngineEvent::Message(message)).await?;
        if let Some((chat, wamid)) = last {
            self.record_inbound(chat, wamid);
        }
        Ok(())
    }

    async fn ingest_status(&self, status: &Status, aliases: &MessageAliases) -> Result<(), CallbackError> {
        let Some(id) = status_in::message_id(status, aliases) else {
            tracing::debug!(device = %self.context.device, "status of another program's message skipped");
            return Ok(());
        };
        if !aliases.contains_key(&status.id) {
            // The answer to the send was lost, or its id could not be stored.
            self.ids.record_alias(&id, &status.id).await.map_err(|_| not_stored())?;
        }
        match status_in::receipt(status, id, self.context.now()) {
            Some(receipt) => self.deliver(EngineEvent::Receipt(receipt)).await,
            None => Ok(()),
        }
    }

    async fn ingest_call(&self, call: &Call) -> Result<(), CallbackError> {
        let from: Option<Jid> = ids::person(call.from.as_deref(), call.from_user_id.as_deref());
        let status = match (call.event.as_str(), &call.duration) {
            ("connect", _) => CallStatus::Ringing,
            ("terminate", Some(_)) => CallStatus::Ended,
            ("terminate", None) => CallStatus::Missed,
            _ => return Ok(()),
        };
        let Some(from) = from else { return Ok(()) };
        self.deliver(EngineEvent::Call { call_id: call.id.clone(), from, video: false, status }).await
    }

    async fn deliver(&self, event: EngineEvent) -> Result<(), CallbackError> {
        self.context.inbound.deliver(event).await.map_err(|error| match error {
            InboundError::Gone => unavailable("the device is stopping"),
            InboundError::Store(source) => {
                tracing::warn!(device = %self.context.device, error = %source, "an event could not be stored");
                not_stored()
            }
        })
    }
}

pub(super) fn unavailable(sentence: &str) -> CallbackError {
    CallbackError::NotNow(sentence.to_owned())
}

fn not_stored() -> CallbackError {
    unavailable("it could not be stored now")
}
