//! Runs slash commands of operators in device conversations. The answer is the stored note or system message; that to
//! `/help`, and to all commands but `/note` without `chat.system_lines`, is not stored, and only its writer gets it.

use std::collections::VecDeque;

use super::OperatorChat;
use super::assignment::{announce, assign, inbox_user, set_state};
use super::error::ChatError;
use super::inbox_caller::{InboxCaller, daemon};
use super::notes::{add_note, checked};
use super::send_dedup::sent_before;
use super::views::message_views;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::assignment::ConversationState;
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::inbox::InboxRights;
use crate::domain::operator_chat::message::{
    ChatMessage, ChatMessageKind, CommandAnswer, MessageDraft, MessageView, SentMessage,
};
use crate::domain::operator_chat::send_rate::DAY_MS;
use crate::domain::operator_chat::slash_commands::{HELP, SlashCommand, command};
use crate::domain::operator_chat::user::ChatUser;
use crate::service::media::links::LinkBase;
use crate::store::{StoreError, Tx};

/// The answer to a repeated command without a stored one.
const DONE: &str = "Done";
/// Answers that may wait to be emitted; beyond it the oldest is dropped.
const MAX_ANSWERS: usize = 1_000;

/// The result of a command.
pub(super) enum RanCommand {
    /// The inbox gets this stored message.
    Stored(SentMessage),
    /// Only the writer gets this answer.
    Answered(SentMessage),
}

impl OperatorChat {
    /// Queues the answer to a command for the sockets of its writer.
    pub(super) fn queue_answer(&self, answer: CommandAnswer) {
        let mut answers = self.answers.lock();
        if answers.len() >= MAX_ANSWERS {
            answers.pop_front();
            tracing::debug!("answer to a slash command dropped: the queue is full");
        }
        answers.push_back(answer);
        drop(answers);
        self.changed.notify_one();
    }

    /// The answers to emit now.
    pub fn due_answers(&self) -> VecDeque<CommandAnswer> {
        std::mem::take(&mut *self.answers.lock())
    }
}

/// Runs the command of a text; `None` if the text is a message. A repeated `tempId` runs nothing.
pub(super) fn run_command(
    tx: &Tx<'_>,
    me: &ChatUser,
    conversation: &Conversation,
    (draft, note_max_chars): (&MessageDraft, usize),
    (origin, now): (Option<u64>, Millis),
    links: &LinkBase,
) -> Result<Option<RanCommand>, ChatError> {
    if !tx.has_slash_commands() {
        return Ok(None);
    }
    let Some(command) = command(&draft.content)? else { return Ok(None) };
    if draft.attachment_url.is_some() {
        return Err(ChatError::invalid("attachmentUrl", "must be absent with a slash command"));
    }
    let known = sent_before(tx, me.pk, conversation, draft, now)?;
    let is_stored = tx.has_system_lines() || matches!(command, SlashCommand::Note(_));
    if known.is_none() && (command == SlashCommand::Help || !is_stored) {
        let (message, is_new) = run_unstored(tx, me, conversation, command, draft, now)?;
        let view = view_of(tx, conversation, message, links)?;
        return Ok(Some(RanCommand::Answered(SentMessage { view, is_new })));
    }
    let is_new = known.is_none();
    let message = match known {
        Some(message) => message,
        None => {
            let message = run(tx, me, conversation, command, (draft, note_max_chars), (origin, now))?;
            if let Some(temp_id) = &draft.temp_id {
                let sent = (message.id, now);
                tx.record_temp_id(me.pk, conversation.id, temp_id, sent, now.plus(-DAY_MS))?;
            }
            message
        }
    };
    let view = view_of(tx, conversation, message, links)?;
    Ok(Some(RanCommand::Stored(SentMessage { view, is_new })))
}

fn view_of(
    tx: &Tx<'_>,
    conversation: &Conversation,
    message: ChatMessage,
    links: &LinkBase,
) -> Result<MessageView, StoreError> {
    let view = message_views(tx, conversation, vec![message], links)?.pop();
    view.ok_or(StoreError::Unreadable("message"))
}

/// The answer to a command as a system message that is not stored. A repeated `tempId` runs nothing and gets the same id.
fn run_unstored(
    tx: &Tx<'_>,
    me: &ChatUser,
    conversation: &Conversation,
    command: SlashCommand,
    draft: &MessageDraft,
    now: Millis,
) -> Result<(ChatMessage, bool), ChatError> {
    if conversation.device_chat().and_then(|chat| chat.rights_of(me)) < Some(InboxRights::Reply) {
        return Err(ChatError::ReadOnly);
    }
    let temp_id = draft.temp_id.as_deref();
    let oldest = now.plus(-DAY_MS);
    let known = temp_id.map_or(Ok(None), |id| tx.sent_with_temp_id(me.pk, conversation.id, id, oldest))?;
    let content = match (&command, known) {
        (SlashCommand::Help, _) => HELP.to_owned(),
        (_, Some(_)) => DONE.to_owned(),
        (_, None) => change(tx, me, conversation, command, now)?,
    };
    let sender = daemon(tx, now)?;
    let id = match known {
        Some(id) => id,
        None => {
            let id = tx.take_chat_message_id(conversation.id, sender, now)?;
            if let Some(temp_id) = temp_id {
                tx.record_temp_id(me.pk, conversation.id, temp_id, (id, now), oldest)?;
            }
            id
        }
    };
    let previous = tx.newest_chat_message(conversation.id)?;
    let message = ChatMessage {
        id,
        conversation: conversation.id,
        sender,
        kind: ChatMessageKind::System,
        content,
        attachment_url: None,
        attachment_name: None,
        file: None,
        temp_id: draft.temp_id.clone(),
        created_at: previous.map_or(now, |previous| previous.created_at.max(now)),
    };
    Ok((message, known.is_none()))
}

fn run(
    tx: &Tx<'_>,
    me: &ChatUser,
    conversation: &Conversation,
    command: SlashCommand,
    (draft, note_max_chars): (&MessageDraft, usize),
    (origin, now): (Option<u64>, Millis),
) -> Result<ChatMessage, ChatError> {
    let sent = (draft.temp_id.as_deref(), origin);
    if let SlashCommand::Note(text) = command {
        let note = checked(text, note_max_chars)?;
        let caller = InboxCaller::User(Box::new(me.clone()));
        return add_note(tx, &caller, conversation, &note, sent, now);
    }
    let text = change(tx, me, conversation, command, now)?;
    Ok(announce(tx, conversation.id, &text, Some(sent), now)?)
}

/// Runs a command that changes the workflow, and returns its answer.
fn change(
    tx: &Tx<'_>,
    me: &ChatUser,
    conversation: &Conversation,
    command: SlashCommand,
    now: Millis,
) -> Result<String, ChatError> {
    let caller = InboxCaller::User(Box::new(me.clone()));
    Ok(match command {
        SlashCommand::Assign(user) => {
            let id = user.unwrap_or_else(|| me.id.to_string());
            let user = inbox_user(tx, &caller, conversation, &[], &id)?;
            let changed = assign(tx, &caller, conversation, Some(&user), None, now)?;
            changed.unwrap_or_else(|| format!("Already assigned to {}", user.display_name()))
        }
        SlashCommand::Unassign => {
            let changed = assign(tx, &caller, conversation, None, None, now)?;
            changed.unwrap_or_else(|| "There is no assignee".to_owned())
        }
        SlashCommand::Close => {
            let changed = set_state(tx, &caller, conversation, ConversationState::Closed, now)?;
            changed.unwrap_or_else(|| "Already closed".to_owned())
        }
        SlashCommand::Help | SlashCommand::Note(_) => HELP.to_owned(),
    })
}
