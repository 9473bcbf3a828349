//! What a callback tells, one thing after the other, each durable before the next.

use serde_json::Value;

use super::aliases::{self, Aliases};
use super::convert::message_in::{self, Around, News};
use super::convert::people;
use super::convert::status_in;
use super::convert::wire::{Call, Message, Status, Told};
use super::media::{self, Missing};
use super::session::CloudSession;
use crate::domain::content::Content;
use crate::domain::event::CallStatus;
use crate::domain::jid::Jid;
use crate::engine::{CallbackError, EngineEvent, InboundError};

impl CloudSession {
    /// Takes in what a callback told; with success all of it is durable.
    pub(super) async fn take_in(&self, told: Vec<Told>) -> Result<(), CallbackError> {
        let me = self.me().ok_or_else(|| not_now("the device is not connected now"))?;
        for told in told {
            self.take_in_people(&told).await?;
            let messages = [told.messages.as_slice(), told.message_echoes.as_slice()].concat();
            let messages: Vec<Message> = self.read_each(messages);
            let statuses: Vec<Status> = self.read_each(told.statuses.clone());
            let names = messages.iter().flat_map(message_in::names);
            let names = names.chain(statuses.iter().map(|status| status.id.clone())).collect();
            let aliases = aliases::known(&*self.vault, names).await.map_err(|_| not_stored())?;
            let around =
                Around { contacts: &told.contacts, aliases: &aliases, me: &me, now: self.clock.now() };
            for message in &messages {
                match message_in::news(message, &around) {
                    Some(news) => self.take_in_news(news).await?,
                    None => self.passed_over("a message"),
                }
            }
            for status in &statuses {
                self.take_in_status(status, &aliases).await?;
            }
            for call in self.read_each::<Call>(told.calls) {
                self.take_in_call(&call).await?;
            }
        }
        Ok(())
    }

    /// Each that can be read; one that cannot must not keep the others from being heard.
    fn read_each<T: serde::de::DeserializeOwned>(&self, values: Vec<Value>) -> Vec<T> {
        let read = values.into_iter().filter_map(|value| {
            let read = serde_json::from_value(value).ok();
            if read.is_none() {
                self.passed_over("something");
            }
            read
        });
        read.collect()
    }

    fn passed_over(&self, what: &str) {
        tracing::warn!(device = %self.device, what, "a part of a callback could not be read and was passed over");
    }

    async fn take_in_people(&self, told: &Told) -> Result<(), CallbackError> {
        let news: Vec<_> =
            message_in::identities(&told.contacts).into_iter().filter(|who| self.is_news(who)).collect();
        if news.is_empty() {
            return Ok(());
        }
        self.pass_on(EngineEvent::Contacts(news.clone())).await?;
        news.iter().for_each(|who| self.met(who));
        Ok(())
    }

    async fn take_in_news(&self, news: News) -> Result<(), CallbackError> {
        let (mut message, file) = match news {
            News::About(event) => return self.pass_on(event).await,
            News::Message(message, file) => (message, file),
        };
        if let Some(file) = file {
            match media::fetched(self, &file).await {
                Ok(attachment) => message.content = Content::Media(attachment),
                Err(Missing::NotStored) => return Err(not_stored()),
                Err(Missing::Lost(why)) => {
                    tracing::warn!(device = %self.device, kind = ?file.kind, why, "a message comes without its file");
                }
            }
        }
        let last = (!message.from_me).then(|| (message.chat.clone(), message.network_id.to_string()));
        self.pass_on(EngineEvent::Message(message)).await?;
        if let Some((chat, wamid)) = last {
            self.heard(chat, wamid);
        }
        Ok(())
    }

    async fn take_in_status(&self, status: &Status, aliases: &Aliases) -> Result<(), CallbackError> {
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

    async fn take_in_call(&self, call: &Call) -> Result<(), CallbackError> {
        let from: Option<Jid> = people::person(call.from.as_deref(), call.from_user_id.as_deref());
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
