//! What a callback tells: first what needs no file, one thing after the other, each durable before the next; then
//! messages with files, side by side.

use futures_util::future::join_all;
use tokio::time::Instant;

use super::aliases::{self, Aliases};
use super::convert::message_in::{self, MessageContext, CloudEvent, RemoteFile};
use super::convert::ids;
use super::convert::status_in;
use super::convert::wire::{Call, Status, CallbackValues};
use super::media::{self, Missing};
use super::session::CloudSession;
use crate::domain::content::Content;
use crate::domain::event::CallStatus;
use crate::domain::jid::Jid;
use crate::engine::{CallbackError, EngineEvent, InboundError, Incoming};

/// A message with a file that is still at Meta.
type WithFile = (Box<Incoming>, RemoteFile);

impl CloudSession {
    /// Takes in what a callback told, by a time; with success all of it is durable. What needs no file comes first, and
    /// waits for none.
    pub(super) async fn ingest(&self, told: Vec<CallbackValues>, by: Instant) -> Result<(), CallbackError> {
        let me = self.me().ok_or_else(|| not_now("the device is not connected now"))?;
        let mut passed_over = Vec::new();
        let mut with_files = Vec::new();
        for told in &told {
            passed_over.extend(&told.passed_over);
            self.ingest_people(told).await?;
            let names = told.messages.iter().flat_map(message_in::names);
            let names = names.chain(told.statuses.iter().map(|status| status.id.clone())).collect();
            let aliases = aliases::known(&*self.vault, names).await.map_err(|_| not_stored())?;
            let around =
                MessageContext { contacts: &told.contacts, aliases: &aliases, me: &me, now: self.clock.now() };
            for message in &told.messages {
                match message_in::news(message, &around) {
                    Some(CloudEvent::About(event)) => self.pass_on(event).await?,
                    Some(CloudEvent::Message(message, Some(file))) => with_files.push((message, file)),
                    Some(CloudEvent::Message(message, None)) => self.ingest_message(message).await?,
                    None => passed_over.push("a message of nobody"),
                }
            }
            for status in &told.statuses {
                self.ingest_status(status, &aliases).await?;
            }
            for call in &told.calls {
                self.ingest_call(call).await?;
            }
        }
        passed_over.into_iter().for_each(|part| self.not_read(part));
        let fetched = with_files.into_iter().map(|with_file| self.ingest_with_file(with_file, by));
        join_all(fetched).await.into_iter().collect()
    }

    async fn ingest_people(&self, told: &CallbackValues) -> Result<(), CallbackError> {
        let news: Vec<_> =
            message_in::identities(&told.contacts).into_iter().filter(|who| self.is_news(who)).collect();
        if news.is_empty() {
            return Ok(());
        }
        self.pass_on(EngineEvent::Contacts(news.clone())).await?;
        news.iter().for_each(|who| self.met(who));
        Ok(())
    }

    async fn ingest_with_file(
        &self,
        (mut message, file): WithFile,
        by: Instant,
    ) -> Result<(), CallbackError> {
        let wamid = message.network_id.to_string();
        if self.media_retries.is_here(&wamid) {
            return Ok(());
        }
        match media::fetched(self, &wamid, &file, by).await {
            Ok(attachment) => message.content = Content::Media(attachment),
            Err(Missing::NotStored) => return Err(not_stored()),
            Err(Missing::NoPlace) => return Err(not_now("too many files are fetched now")),
            Err(Missing::ForNow(why)) => {
                tracing::info!(device = %self.device, kind = ?file.kind, why, "a file is tried again when Meta calls back again");
                return Err(not_now("a file could not be had from Meta now"));
            }
            Err(Missing::Lost(why)) => {
                tracing::warn!(device = %self.device, kind = ?file.kind, why, "a message comes without its file");
            }
        }
        self.ingest_message(message).await?;
        self.media_retries.came(&wamid);
        Ok(())
    }

    async fn ingest_message(&self, message: Box<Incoming>) -> Result<(), CallbackError> {
        let last = (!message.from_me).then(|| (message.chat.clone(), message.network_id.to_string()));
        self.pass_on(EngineEvent::Message(message)).await?;
        if let Some((chat, wamid)) = last {
            self.heard(chat, wamid);
        }
        Ok(())
    }

    async fn ingest_status(&self, status: &Status, aliases: &Aliases) -> Result<(), CallbackError> {
        let Some(id) = status_in::about(status, aliases) else {
            tracing::debug!(device = %self.device, "a status of a message that is not from here");
            return Ok(());
        };
        let now = self.clock.now();
        if !aliases.contains_key(&status.id) {
            // The answer to the message never came, or its name could not be noted.
            aliases::note(&*self.vault, &status.id, &id, now).await.map_err(|_| not_stored())?;
        }
        match status_in::receipt(status, id, now) {
            Some(receipt) => self.pass_on(EngineEvent::Receipt(receipt)).await,
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
        self.pass_on(EngineEvent::Call { call_id: call.id.clone(), from, video: false, status }).await
    }

    async fn pass_on(&self, event: EngineEvent) -> Result<(), CallbackError> {
        self.inbound.deliver(event).await.map_err(|error| match error {
            InboundError::Gone => not_now("the device is stopping"),
            InboundError::Store(source) => {
                tracing::warn!(device = %self.device, error = %source, "the daemon did not take an event");
                not_stored()
            }
        })
    }
}

fn not_now(sentence: &str) -> CallbackError {
    CallbackError::NotNow(sentence.to_owned())
}

fn not_stored() -> CallbackError {
    not_now("it could not be stored now")
}
