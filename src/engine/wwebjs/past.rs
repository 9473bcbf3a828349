//! What was there before, read from the upstream's people, groups, chats and messages: the past of an account that is
//! new here, and what a log no longer reaches back to.

use std::collections::HashSet;

use super::client::Ask;
use super::convert::entry_in::{self, News};
use super::convert::message_in::in_ms;
use super::convert::wire::{WireChat, WireMessage};
use super::groups::PAGE;
use super::log;
use super::media::without_file;
use super::session::WwebjsSession;
use super::settings::InboundBy;
use crate::domain::ack::Ack;
use crate::domain::event::HistoryPhase;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::engine::{EngineEvent, IncomingChange, IncomingReceipt, SessionEnd};

/// Messages of the past that are read of one chat.
const PAST_OF_CHAT: usize = 1_000;
/// Chats that are read at most.
const MOST_CHATS: usize = 50_000;
/// So much before the last thing that was heard is read again: clocks and deliveries are not exact.
const MARGIN_MS: i64 = 10 * 60 * 1_000;

/// A page of a chat's messages, in time order.
struct Page {
    messages: Vec<WireMessage>,
    last: bool,
}

/// Entries that the log already holds, although they were not taken in yet.
struct Ahead {
    to: i64,
    messages: HashSet<MessageId>,
}

impl WwebjsSession {
    /// Reads what was there before the link as history, which is told to nobody. What the log tells after `seq` is
    /// left to the log, where there is one. `own`: nobody else tells how far it is.
    pub(super) async fn read_past(&self, seq: Option<i64>, own: bool) -> Result<(), SessionEnd> {
        self.tell_contacts().await?;
        if own {
            // After a new link the log has them all, and what happened to them since, in its order.
            self.tell_groups(false).await?;
        }
        let mut ahead = seq.map(|to| Ahead { to, messages: HashSet::new() });
        let mut done = 0;
        for chat in self.chats().await? {
            let mut before: Option<MessageId> = None;
            let mut read = 0;
            while read < PAST_OF_CHAT {
                let Page { messages: page, last } = self.messages_before(&chat.id, before.as_ref()).await?;
                if let Some(ahead) = &mut ahead {
                    self.look_ahead(ahead).await?;
                }
                read += page.len();
                let last = last || page.is_empty();
                before = page.first().map(|message| message.id.clone());
                let comes = |id: &MessageId| ahead.as_ref().is_some_and(|ahead| ahead.messages.contains(id));
                let old = page.into_iter().filter(|message| !comes(&message.id)).collect();
                done += self.tell_history(old).await?;
                if own {
                    self.progress(done, HistoryPhase::Messages).await?;
                }
                if last {
                    break;
                }
            }
            self.chat_is(&chat).await?;
        }
        if own && done > 0 {
            self.progress(done, HistoryPhase::Complete).await?;
        }
        Ok(())
    }

    async fn progress(&self, done: u64, phase: HistoryPhase) -> Result<(), SessionEnd> {
        self.tell(EngineEvent::HistoryProgress { done, total: None, phase }).await
    }

    async fn tell_history(&self, messages: Vec<WireMessage>) -> Result<u64, SessionEnd> {
        let mut history = Vec::with_capacity(messages.len());
        for message in &messages {
            let id = self.kept(self.keeping.ours(&message.id).await)?;
            if self.may_be_being_named(message, &id) {
                continue;
            }
            history.push(self.received(message, without_file(message)).await?);
        }
        let told = history.len() as u64;
        if told > 0 {
            self.tell(EngineEvent::History(history)).await?;
        }
        let mut changes = Vec::new();
        for message in &messages {
            changes.extend(self.sayings(message).await?);
        }
        if !changes.is_empty() {
            self.tell(EngineEvent::PastChanges(changes)).await?;
        }
        Ok(told)
    }

    /// Notes which messages the log tells of further on.
    async fn look_ahead(&self, ahead: &mut Ahead) -> Result<(), SessionEnd> {
        loop {
            let page = self.answered(log::page(&self.client, ahead.to).await)?;
            let before = ahead.to;
            for entry in &self.read_entries(page.data) {
                if let Some(News::Message(message) | News::Created { message, .. }) = entry_in::news(entry) {
                    ahead.messages.insert(message.id.clone());
                }
                ahead.to = ahead.to.max(entry.seq);
            }
            ahead.to = ahead.to.max(page.next_after);
            if !page.has_more || ahead.to == before {
                return Ok(());
            }
        }
    }

    /// Reads what was done to chats.
    pub(super) async fn read_chats(&self) -> Result<(), SessionEnd> {
        for chat in self.chats().await? {
            self.chat_is(&chat).await?;
        }
        Ok(())
    }

    /// All chats, the newest first but for pinned ones.
    async fn chats(&self) -> Result<Vec<WireChat>, SessionEnd> {
        let mut chats = Vec::new();
        let mut read = 0;
        while read < MOST_CHATS {
            let ask = Ask::get(&["chats"]).query("limit", &PAGE).query("offset", &read);
            let mut page = self.answered(self.client.ask(ask).await)?;
            let (listed, count) = self.read_page::<WireChat>("a chat", &mut page);
            read += count;
            chats.extend(listed);
            if count < PAGE {
                break;
            }
        }
        Ok(chats)
    }

    /// The page of messages before one, or the newest; in time order.
    async fn messages_before(&self, chat: &Jid, before: Option<&MessageId>) -> Result<Page, SessionEnd> {
        let id = chat.to_string();
        let path = ["chats", id.as_str(), "messages"];
        let mut ask = Ask::get(&path).query("limit", &PAGE);
        if let Some(before) = before {
            ask = ask.query("before", before);
        }
        let mut page = match self.client.ask(ask).await {
            // The chat was removed meanwhile.
            Err(trouble) if trouble.is_absence() => return Ok(Page { messages: Vec::new(), last: true }),
            page => self.answered(page)?,
        };
        // Whatever of ours is on the page was handed over before: then its id there is known.
        drop(self.naming.write().await);
        let (messages, count) = self.read_page("a message", &mut page);
        Ok(Page { messages, last: count < PAGE })
    }

    /// Reads what happened since a moment of the upstream's clock, as news; what is known already is no news.
    pub(super) async fn read_again(&self, since: i64) -> Result<(), SessionEnd> {
        let since = in_ms(since.saturating_sub(MARGIN_MS));
        self.tell_contacts().await?;
        self.tell_groups(false).await?;
        for chat in self.chats().await? {
            self.chat_is(&chat).await?;
            if chat.timestamp.is_some_and(|at| in_ms(at) < since) {
                continue;
            }
            for message in self.messages_since(&chat.id, since.0).await? {
                self.tell_again(&message).await?;
            }
        }
        Ok(())
    }

    /// A chat's messages since a moment, in time order.
    async fn messages_since(&self, chat: &Jid, since: i64) -> Result<Vec<WireMessage>, SessionEnd> {
        let mut newest_first: Vec<WireMessage> = Vec::new();
        loop {
            let before = newest_first.last().map(|message| message.id.clone());
            let Page { messages, last } = self.messages_before(chat, before.as_ref()).await?;
            let last = last || messages.is_empty();
            for message in messages.into_iter().rev() {
                if message.timestamp.is_some_and(|at| in_ms(at).0 < since) || newest_first.len() >= MOST_CHATS
                {
                    newest_first.reverse();
                    return Ok(newest_first);
                }
                newest_first.push(message);
            }
            if last {
                newest_first.reverse();
                return Ok(newest_first);
            }
        }
    }

    /// All that a message tells as it now is.
    async fn tell_again(&self, message: &WireMessage) -> Result<(), SessionEnd> {
        let id = self.kept(self.keeping.ours(&message.id).await)?;
        if self.may_be_being_named(message, &id) {
            return Ok(());
        }
        self.message(message).await?;
        let at = self.clock.now();
        if message.id.from_me
            && let Some(ack) = message.ack.and_then(|ack| Ack::try_from(ack).ok())
            && ack != Ack::Pending
        {
            let (chat, network_id) = (id.chat.clone(), id.network.clone());
            let receipt =
                IncomingReceipt { chat, network_id, ack, participant: None, timestamp: at, error: None };
            self.tell(EngineEvent::Receipt(receipt)).await?;
        }
        if message.kind.as_deref() == Some("revoked") {
            return self.tell(EngineEvent::MessageChange(IncomingChange::Revoked { id })).await;
        }
        if message.is_edited {
            let body = message.body.clone().unwrap_or_default();
            self.tell(EngineEvent::MessageChange(IncomingChange::Edited { id: id.clone(), body, at }))
                .await?;
        }
        for saying in self.sayings(message).await? {
            self.tell(EngineEvent::MessageChange(saying)).await?;
        }
        Ok(())
    }

    /// Whether a message may be one of ours whose id there is just being told. It is read again soon.
    fn may_be_being_named(&self, message: &WireMessage, id: &MessageId) -> bool {
        let unnamed = message.id.from_me && *id == message.id;
        unnamed && self.inbound_by == InboundBy::Poll && !self.waiting.is_idle()
    }

    /// Reactions, votes and the star of a message.
    async fn sayings(&self, message: &WireMessage) -> Result<Vec<IncomingChange>, SessionEnd> {
        let mut sayings = Vec::new();
        if message.reactions.is_empty() && message.poll.is_none() && !message.is_starred {
            return Ok(sayings);
        }
        let id = self.kept(self.keeping.ours(&message.id).await)?;
        let at = message.timestamp.map_or_else(|| self.clock.now(), in_ms);
        for reaction in &message.reactions {
            let (from, from_me, emoji) = (reaction.from.clone(), reaction.from_me, reaction.emoji.clone());
            sayings.push(IncomingChange::Reaction { id: id.clone(), from, from_me, emoji, at });
        }
        for vote in message.poll.iter().flat_map(|poll| &poll.votes) {
            let (voter, options, at) = (vote.voter.clone(), vote.options.clone(), vote.timestamp);
            sayings.push(IncomingChange::Vote { id: id.clone(), voter, options, at });
        }
        if message.is_starred {
            sayings.push(IncomingChange::Starred { id, on: true });
        }
        Ok(sayings)
    }
}
