//! Runs slash commands of operators in device conversations. The answer is the stored note or system message.

use super::assignment::{announce, assign, inbox_user, set_state};
use super::error::ChatError;
use super::inbox_caller::InboxCaller;
use super::notes::{add_note, checked};
use super::send_dedup::sent_before;
use super::views::message_views;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::assignment::ConversationState;
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::inbox::InboxRights;
use crate::domain::operator_chat::message::{ChatMessage, MessageDraft, SentMessage};
use crate::domain::operator_chat::send_rate::DAY_MS;
use crate::domain::operator_chat::slash_commands::{HELP, SlashCommand, command};
use crate::domain::operator_chat::user::ChatUser;
use crate::service::media::links::LinkBase;
use crate::store::{StoreError, Tx};

/// Runs the command of a text; `None` if the text is a message. A repeated `tempId` runs nothing.
pub(super) fn run_command(
    tx: &Tx<'_>,
    me: &ChatUser,
    conversation: &Conversation,
    (draft, note_max_chars): (&MessageDraft, usize),
    (origin, now): (Option<u64>, Millis),
    links: &LinkBase,
) -> Result<Option<SentMessage>, ChatError> {
    let Some(command) = command(&draft.content)? else { return Ok(None) };
    if draft.attachment_url.is_some() {
        return Err(ChatError::invalid("attachmentUrl", "must be absent with a slash command"));
    }
    let known = sent_before(tx, me.pk, conversation, draft, now)?;
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
    let view = message_views(tx, conversation, vec![message], links)?.pop();
    let view = view.ok_or(StoreError::Unreadable("message"))?;
    Ok(Some(SentMessage { view, is_new }))
}

fn run(
    tx: &Tx<'_>,
    me: &ChatUser,
    conversation: &Conversation,
    command: SlashCommand,
    (draft, note_max_chars): (&MessageDraft, usize),
    (origin, now): (Option<u64>, Millis),
) -> Result<ChatMessage, ChatError> {
    let caller = InboxCaller::User(Box::new(me.clone()));
    let sent = (draft.temp_id.as_deref(), origin);
    let text = match command {
        SlashCommand::Note(text) => {
            let note = checked(text, note_max_chars)?;
            return add_note(tx, &caller, conversation, &note, sent, now);
        }
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
        SlashCommand::Help => {
            let rights = conversation.device_chat().and_then(|chat| caller.rights(chat));
            if rights < Some(InboxRights::Reply) {
                return Err(ChatError::ReadOnly);
            }
            HELP.to_owned()
        }
    };
    announce(tx, conversation, &text, Some(sent), now)
}
