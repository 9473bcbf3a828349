//! Reads contacts, groups, chats and messages that are not in the event log: history from before the link,
//! and changes since a time.
//!
//! History is delivered as history and never as new messages. Messages that a later entry of the log
//! announces are left to the log.

use std::collections::HashSet;

use serde::de::DeserializeOwned;

use super::convert::event_in::{self, RemoteEvent};
use super::convert::message_in::in_ms;
use super::convert::wire::{WireChat, WireEntry, WireMessage};
use super::log_stream;
use super::media::without_file;
use super::session::RemoteSession;
use super::settings::InboundTransport;
use super::state::ReadPosition;
use crate::domain::event::HistoryPhase;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::reason::Reason;
use crate::engine::{EngineEvent, IncomingChange, SessionEnd};
use crate::net::Method;

/// Values on one page of a list.
pub(super) const PAGE_LEN: usize = 100;
const MAX_HISTORY_PER_CHAT: usize = 1_000;
const MAX_CHATS: usize = 50_000;
/// Changes are read from this long before the requested time: clocks differ and messages are late.
const OVERLAP_MS: i64 = 10 * 60 * 1_000;

/// A page of a list.
pub(super) struct ListPage<T> {
    pub(super) values: Vec<T>,
    pub(super) is_last: bool,
}

/// Messages that entries of the log announce, up to `seq`.
struct AnnouncedMessages {
    seq: i64,
    ids: HashSet<MessageId>,
}

impl RemoteSession {
    /// Reads history from before the link. `after`: messages after this entry are left to the log. `reports`:
    /// the upstream reports no progress of its own.
    pub(super) async fn read_history(&self, after: Option<i64>, reports: bool) -> Result<(), SessionEnd> {
        self.deliver_contacts().await?;
        if reports {
            // After a new link the log has the groups and their changes.
            self.deliver_groups(false).await?;
        }
        let mut announced = after.map(|seq| AnnouncedMessages { seq, ids: HashSet::new() });
        let mut done = 0;
        for chat in self.chats().await? {
            let mut before: Option<MessageId> = None;
            let mut read = 0;
            while read < MAX_HISTORY_PER_CHAT {
                let ListPage { mut values, is_last } =
                    self.messages_before(&chat.id, before.as_ref()).await?;
                let is_last = is_last || values.is_empty();
                read += values.len();
                before = values.first().map(|message| message.id.clone());
                if let Some(announced) = &mut announced {
                    self.read_announced(announced).await?;
                    values.retain(|message| !announced.ids.contains(&message.id));
                }
                done += self.deliver_history(values).await?;
                if reports {
                    self.report_history(done, HistoryPhase::Messages).await?;
                }
                if is_last {
                    break;
                }
            }
            self.ingest_chat(&chat).await?;
        }
        if reports && done > 0 {
            self.report_history(done, HistoryPhase::Complete).await?;
        }
        Ok(())
    }

    async fn report_history(&self, done: u64, phase: HistoryPhase) -> Result<(), SessionEnd> {
        self.relay.deliver(EngineEvent::HistoryProgress { done, total: None, phase }).await
    }

    async fn deliver_history(&self, messages: Vec<WireMessage>) -> Result<u64, SessionEnd> {
        let mut history = Vec::with_capacity(messages.len());
        let mut changes = Vec::new();
        for message in &messages {
            if !self.may_lack_our_id(message).await? {
                history.push(self.incoming(message, without_file(message)).await?);
            }
            changes.extend(self.changes_of(message).await?);
        }
        let delivered = history.len() as u64;
        if delivered > 0 {
            self.relay.deliver(EngineEvent::History(history)).await?;
        }
        if !changes.is_empty() {
            self.relay.deliver(EngineEvent::PastChanges(changes)).await?;
        }
        Ok(delivered)
    }

    /// Reads the log to its present end.
    async fn read_announced(&self, announced: &mut AnnouncedMessages) -> Result<(), SessionEnd> {
        loop {
            let page = self.answered(log_stream::page(&self.client, announced.seq).await)?;
            let before = announced.seq;
            let entries: Vec<WireEntry> = self.read_list("log entry", page.data.into());
            for entry in &entries {
                let event = event_in::from_entry(entry);
                if let Some(RemoteEvent::Message(message) | RemoteEvent::Created { message, .. }) = event {
                    announced.ids.insert(message.id.clone());
                }
                announced.seq = announced.seq.max(entry.seq);
            }
            announced.seq = announced.seq.max(page.next_after);
            if !page.has_more || announced.seq == before {
                return Ok(());
            }
        }
    }

    /// Reads the flags of all chats.
    pub(super) async fn read_chats(&self) -> Result<(), SessionEnd> {
        for chat in self.chats().await? {
            self.ingest_chat(&chat).await?;
        }
        Ok(())
    }

    /// A page of a list; `None` where the upstream has no such list.
    pub(super) async fn list_page<T: DeserializeOwned>(
        &self,
        part: &'static str,
        path: &str,
        offset: usize,
    ) -> Result<Option<ListPage<T>>, SessionEnd> {
        let request =
            self.client.request(Method::GET, &[path]).query("limit", &PAGE_LEN).query("offset", &offset);
        let list = match self.client.data(request).await {
            Err(failure) if failure.is_unserved() || failure.status() == Some(422) => return Ok(None),
            list => self.answered(list)?,
        };
        let len = list.as_array().map_or(0, Vec::len);
        Ok(Some(ListPage { values: self.read_list(part, list), is_last: len < PAGE_LEN }))
    }

    /// All chats. Every upstream has them.
    async fn chats(&self) -> Result<Vec<WireChat>, SessionEnd> {
        let mut chats = Vec::new();
        for offset in (0..MAX_CHATS).step_by(PAGE_LEN) {
            let page = self.list_page("chat", "chats", offset).await?;
            let ListPage { values, is_last } =
                page.ok_or(SessionEnd::LinkLost(Reason::UpstreamUnavailable))?;
            chats.extend(values);
            if is_last {
                break;
            }
        }
        Ok(chats)
    }

    /// The page of messages before one, or the newest page; in time order.
    async fn messages_before(
        &self,
        chat: &Jid,
        before: Option<&MessageId>,
    ) -> Result<ListPage<WireMessage>, SessionEnd> {
        let chat = chat.to_string();
        let path = ["chats", &chat, "messages"];
        let mut request = self.client.request(Method::GET, &path).query("limit", &PAGE_LEN);
        if let Some(before) = before {
            request = request.query("before", before);
        }
        let list = match self.client.data(request).await {
            // The chat was removed meanwhile.
            Err(failure) if failure.is_absent() => return Ok(ListPage { values: Vec::new(), is_last: true }),
            list => self.answered(list)?,
        };
        // Each of our messages on the page was submitted before: wait until its id is recorded.
        drop(self.recording_id.write().await);
        let len = list.as_array().map_or(0, Vec::len);
        Ok(ListPage { values: self.read_list("message", list), is_last: len < PAGE_LEN })
    }

    /// Reads changes since a position's time as new events; the daemon drops those that it has.
    pub(super) async fn read_changes(&self, since: ReadPosition) -> Result<(), SessionEnd> {
        let from = in_ms(since.at.saturating_sub(OVERLAP_MS)).0;
        self.deliver_contacts().await?;
        self.deliver_groups(false).await?;
        for chat in self.chats().await? {
            self.ingest_chat(&chat).await?;
            if chat.timestamp.is_some_and(|at| in_ms(at).0 < from) {
                continue;
            }
            for message in self.messages_since(&chat.id, from).await? {
                self.ingest_current(message, since).await?;
            }
        }
        Ok(())
    }

    /// A chat's messages since a time, in time order.
    async fn messages_since(&self, chat: &Jid, from: i64) -> Result<Vec<WireMessage>, SessionEnd> {
        let mut newest_first: Vec<WireMessage> = Vec::new();
        loop {
            let before = newest_first.last().map(|message| message.id.clone());
            let ListPage { values, is_last } = self.messages_before(chat, before.as_ref()).await?;
            let found = values.len();
            let is_recent = |message: &WireMessage| message.timestamp.is_none_or(|at| in_ms(at).0 >= from);
            let recent: Vec<_> = values.into_iter().rev().take_while(is_recent).collect();
            let is_last = is_last || found == 0 || recent.len() < found || newest_first.len() >= MAX_CHATS;
            newest_first.extend(recent);
            if is_last {
                newest_first.reverse();
                return Ok(newest_first);
            }
        }
    }

    /// Ingests a message in its present form.
    async fn ingest_current(&self, message: WireMessage, before: ReadPosition) -> Result<(), SessionEnd> {
        if self.may_lack_our_id(&message).await? {
            return Ok(());
        }
        self.ingest_message(&message, before).await?;
        let mut changes = Vec::new();
        let (id, at) = (self.our_id(&message.id).await?, self.relay.now());
        if message.kind.as_deref() == Some("revoked") {
            changes.push(IncomingChange::Revoked { id });
        } else {
            if message.is_edited {
                let body = message.body.clone().unwrap_or_default();
                changes.push(IncomingChange::Edited { id, body, at });
            }
            changes.extend(self.changes_of(&message).await?);
        }
        self.deliver_ack_of(WireMessage { receipts: Vec::new(), ..message }).await?;
        for change in changes {
            self.relay.deliver(EngineEvent::MessageChange(change)).await?;
        }
        Ok(())
    }

    /// Whether a message may be one of ours whose id is not recorded yet. It is read again soon.
    async fn may_lack_our_id(&self, message: &WireMessage) -> Result<bool, SessionEnd> {
        if !message.id.from_me || self.inbound != InboundTransport::Poll || self.pending_sends.is_empty() {
            return Ok(false);
        }
        Ok(self.our_id(&message.id).await? == message.id)
    }

    /// Reactions, votes and the star of a message.
    async fn changes_of(&self, message: &WireMessage) -> Result<Vec<IncomingChange>, SessionEnd> {
        let mut changes = Vec::new();
        if message.reactions.is_empty() && message.poll.is_none() && !message.is_starred {
            return Ok(changes);
        }
        let id = self.our_id(&message.id).await?;
        let at = message.timestamp.map_or_else(|| self.relay.now(), in_ms);
        for reaction in &message.reactions {
            let (from, from_me, emoji) = (reaction.from.clone(), reaction.from_me, reaction.emoji.clone());
            changes.push(IncomingChange::Reaction { id: id.clone(), from, from_me, emoji, at });
        }
        for vote in message.poll.iter().flat_map(|poll| &poll.votes) {
            let (voter, options, at) = (vote.voter.clone(), vote.options.clone(), vote.timestamp);
            changes.push(IncomingChange::Vote { id: id.clone(), voter, options, at });
        }
        if message.is_starred {
            changes.push(IncomingChange::Starred { id, on: true });
        }
        Ok(changes)
    }
}
