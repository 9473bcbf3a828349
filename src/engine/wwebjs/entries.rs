//! What an entry of the upstream's log comes to here.

use super::client::Ask;
use super::convert::entry_in::{self, News, Said, Step};
use super::convert::ids::of_temp_id;
use super::convert::state_in::{self, There};
use super::convert::wire::{WireDevice, WireEntry, WireMessage, WireReceipt};
use super::linking::Stage;
use super::session::WwebjsSession;
use super::waiting::echo;
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::reason::Reason;
use crate::engine::{ChatChange, EngineEvent, IncomingChange, IncomingReceipt, SendError, SessionEnd};

impl WwebjsSession {
    /// Takes an entry in. `new`: it was written after this session began, so that it counts for the link. Answers
    /// whether anything was told.
    pub(super) async fn take_in(&self, entry: &WireEntry, new: bool) -> Result<bool, SessionEnd> {
        let Some(news) = entry_in::news(entry) else {
            self.not_read("an entry of the log");
            return Ok(false);
        };
        match news {
            News::Nothing => return Ok(false),
            News::State(there) if new => self.went_on(there, None).await?,
            News::Code { code, valid_ms } if new => self.code(code, valid_ms).await?,
            News::Scanned(account) if new => self.scanned(account).await?,
            News::Deleted if new => return Err(self.unlinked(Reason::LoggedOutOnPhone).await?),
            News::State(_) | News::Code { .. } | News::Scanned(_) | News::Deleted => return Ok(false),
            News::Message(message) => self.message(&message).await?,
            News::Created { message, temp_id } => self.created(&message, temp_id.as_deref()).await?,
            News::Step { id, step, .. } => self.stepped(&id, step, Millis(entry.timestamp)).await?,
            News::Ack { id, ack, at } => self.acknowledged(&id, ack, at).await?,
            News::Read { chat, ids, by, at } => self.were_read(chat, ids, by, at).await?,
            News::Changed { id, said, at } => self.changed(&id, said, at).await?,
            News::Chat { chat, change } => self.chat_changed(chat, change).await?,
            News::IntoGroup(group) => self.tell_group(&group).await?,
            News::Complete(told) => {
                self.read_past(Some(entry.seq), false).await?;
                let (done, total, phase) = (told.done, told.total, told.phase);
                self.tell(EngineEvent::HistoryProgress { done, total, phase }).await?;
            }
            News::Plain(event) => self.tell(event).await?,
        }
        Ok(true)
    }

    /// The upstream's device is there now.
    pub(super) async fn went_on(&self, there: There, device: Option<WireDevice>) -> Result<(), SessionEnd> {
        if let Some(ended) = state_in::ends(there, self.stage() == Stage::Ready) {
            if let SessionEnd::LoggedOut(reason) = ended {
                return Err(self.unlinked(reason).await?);
            }
            return Err(ended);
        }
        if there != There::Ready || self.stage() == Stage::Ready {
            return Ok(());
        }
        let device = match device {
            Some(device) => device,
            None => self.answered(self.show().await)?,
        };
        self.ready(&device).await
    }

    /// A message was accepted there: one of ours, or one that another client of the upstream sends.
    async fn created(&self, message: &WireMessage, temp_id: Option<&str>) -> Result<(), SessionEnd> {
        match temp_id.and_then(|temp_id| of_temp_id(&self.tag, temp_id)) {
            Some(ours) => {
                let named = self.keeping.name(&ours, &message.id.network, self.clock.now()).await;
                self.kept(named)
            }
            None => self.message(message).await,
        }
    }

    async fn stepped(&self, theirs: &MessageId, step: Step, at: Millis) -> Result<(), SessionEnd> {
        if step == Step::OnItsWay {
            return Ok(());
        }
        let id = self.kept(self.keeping.ours(theirs).await)?;
        if self.waiting.tell(&id.network, step.clone()) {
            return Ok(());
        }
        let (ack, error) = match step {
            Step::Failed(error) => (Ack::Error, Some(error)),
            _ => (Ack::Server, None),
        };
        self.receipt(&id, ack, None, at, error).await
    }

    async fn acknowledged(&self, theirs: &MessageId, ack: Ack, at: Millis) -> Result<(), SessionEnd> {
        // A failure comes with its reason as a step, and whoever sends hears of the first level as one.
        if matches!(ack, Ack::Error | Ack::Pending) {
            return Ok(());
        }
        let id = self.kept(self.keeping.ours(theirs).await)?;
        if ack == Ack::Server && self.waiting.has(&id.network) {
            return Ok(());
        }
        if !id.chat.is_group() || ack == Ack::Server {
            return self.receipt(&id, ack, None, at, None).await;
        }
        let receipts = match self.look_up(theirs).await? {
            Some(message) if !message.receipts.is_empty() => message.receipts,
            _ => return self.receipt(&id, ack, None, at, None).await,
        };
        self.receipts_of_members(&id, receipts, at).await
    }

    /// How far a message of ours is, as the message itself tells.
    pub(super) async fn tell_ack(&self, message: &WireMessage, ack: Ack) -> Result<(), SessionEnd> {
        let (id, at) = (self.kept(self.keeping.ours(&message.id).await)?, self.clock.now());
        if id.chat.is_group() && !message.receipts.is_empty() {
            return self.receipts_of_members(&id, message.receipts.clone(), at).await;
        }
        self.receipt(&id, ack, None, at, None).await
    }

    async fn receipts_of_members(
        &self,
        id: &MessageId,
        receipts: Vec<WireReceipt>,
        at: Millis,
    ) -> Result<(), SessionEnd> {
        for receipt in receipts {
            let Ok(ack) = Ack::try_from(receipt.ack) else { continue };
            if ack > Ack::Server || ack == Ack::Error {
                self.receipt(id, ack, Some(receipt.participant), at, None).await?;
            }
        }
        Ok(())
    }

    async fn receipt(
        &self,
        id: &MessageId,
        ack: Ack,
        participant: Option<Jid>,
        timestamp: Millis,
        error: Option<SendError>,
    ) -> Result<(), SessionEnd> {
        let (chat, network_id) = (id.chat.clone(), id.network.clone());
        self.tell(EngineEvent::Receipt(IncomingReceipt {
            chat,
            network_id,
            ack,
            participant,
            timestamp,
            error,
        }))
        .await
    }

    /// A message as it now is there; none where there is none.
    pub(super) async fn look_up(&self, theirs: &MessageId) -> Result<Option<WireMessage>, SessionEnd> {
        match self.client.data(Ask::get(&["messages", &theirs.to_string()])).await {
            Err(trouble) if trouble.is_absence() => Ok(None),
            found => Ok(self.read::<WireMessage>("a message", self.answered(found)?)),
        }
    }

    async fn were_read(
        &self,
        chat: Jid,
        ids: Vec<MessageId>,
        by: Option<Jid>,
        at: Millis,
    ) -> Result<(), SessionEnd> {
        let Some(who) = by else {
            let messages: Vec<_> = ids.into_iter().map(|id| id.network).collect();
            // Without any it would mean all of them.
            if messages.is_empty() {
                return Ok(());
            }
            return self.tell(EngineEvent::ReadElsewhere { chat, messages }).await;
        };
        if !chat.is_group() {
            return Ok(());
        }
        for id in ids {
            let id = self.kept(self.keeping.ours(&id).await)?;
            // The group's own level comes as an acknowledgement: `readBy` names the last one who read it.
            self.receipt(&id, Ack::Read, Some(who.clone()), at, None).await?;
        }
        Ok(())
    }

    async fn changed(&self, theirs: &MessageId, said: Said, at: Millis) -> Result<(), SessionEnd> {
        if self.is_echo(theirs, &said) {
            return Ok(());
        }
        let id = self.kept(self.keeping.ours(theirs).await)?;
        let event = match said {
            Said::React { from, emoji } => {
                let from_me = self.me().as_ref() == Some(&from);
                EngineEvent::MessageChange(IncomingChange::Reaction { id, from, from_me, emoji, at })
            }
            Said::Vote { voter, options } => {
                EngineEvent::MessageChange(IncomingChange::Vote { id, voter, options, at })
            }
            Said::Edit { body } => EngineEvent::MessageChange(IncomingChange::Edited { id, body, at }),
            Said::Revoke => EngineEvent::MessageChange(IncomingChange::Revoked { id }),
            Said::Delete => EngineEvent::MessageChange(IncomingChange::DeletedForMe { id }),
            Said::Star(on) => EngineEvent::MessageChange(IncomingChange::Starred { id, on }),
        };
        self.tell(event).await
    }

    /// Whether that is what we had the upstream do.
    fn is_echo(&self, theirs: &MessageId, said: &Said) -> bool {
        let by_me = |who: &Jid| self.me().as_ref() == Some(who);
        match said {
            Said::React { from, emoji } if by_me(from) => self.is_expected(&echo("react", theirs, emoji)),
            Said::Vote { voter, options } if by_me(voter) => {
                self.is_expected(&echo("vote", theirs, &options.join("\n")))
            }
            Said::Edit { body } => self.is_expected(&echo("edit", theirs, body)),
            Said::Star(on) => self.is_expected(&echo("star", theirs, &on.to_string())),
            _ => false,
        }
    }

    fn is_expected(&self, change: &str) -> bool {
        self.echoes.take(change, self.clock.now())
    }

    async fn chat_changed(&self, chat: Jid, change: ChatChange) -> Result<(), SessionEnd> {
        if self.is_expected(&echo_of_chat(&chat, &change)) {
            return Ok(());
        }
        self.tell(EngineEvent::Chat { chat, change }).await
    }
}

/// Names what was done to a chat.
pub(super) fn echo_of_chat(chat: &Jid, change: &ChatChange) -> String {
    format!("chat\n{chat}\n{change:?}")
}
