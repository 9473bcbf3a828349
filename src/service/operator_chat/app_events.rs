//! Events of an application for chat sockets: live only, not logged.

use std::collections::VecDeque;
use std::mem;

use serde_json::Value as Json;

use super::OperatorChat;
use super::error::ChatError;
use super::inbox_caller::InboxCaller;
use crate::domain::operator_chat::app_event::{AppEvent, AppEventTarget};

/// Events that may wait to be emitted; further ones are refused.
const MAX_WAITING: usize = 1_000;

impl OperatorChat {
    /// Emits an event to the sockets of a user.
    ///
    /// # Errors
    /// When there is no such user for the caller, the event is reserved or invalid, or too many wait.
    pub async fn emit_to_operator(
        &self,
        caller: InboxCaller,
        operator: String,
        name: String,
        data: Json,
    ) -> Result<(), ChatError> {
        let user = self.operator(caller, operator).await?;
        self.queue_event(AppEvent::new(AppEventTarget::User(user.pk), name, data)?)
    }

    /// Emits an event to the sockets that joined a conversation.
    ///
    /// # Errors
    /// When there is no such conversation for the caller, the event is reserved or invalid, or too many wait.
    pub async fn emit_to_conversation(
        &self,
        caller: InboxCaller,
        conversation: String,
        name: String,
        data: Json,
    ) -> Result<(), ChatError> {
        let staff = self.directory_rules();
        let found = self.store.read(move |store| caller.conversation(store, &staff, &conversation)).await?;
        self.queue_event(AppEvent::new(AppEventTarget::Conversation(found.id), name, data)?)
    }

    /// Emits an event to all sockets.
    ///
    /// # Errors
    /// When the caller is restricted to devices, the event is reserved or invalid, or too many wait.
    pub fn broadcast(&self, caller: &InboxCaller, name: String, data: Json) -> Result<(), ChatError> {
        caller.require_all_devices()?;
        self.queue_event(AppEvent::new(AppEventTarget::All, name, data)?)
    }

    fn queue_event(&self, event: AppEvent) -> Result<(), ChatError> {
        let mut waiting = self.app_events.lock();
        if waiting.len() >= MAX_WAITING {
            return Err(ChatError::TooManyEvents(MAX_WAITING));
        }
        waiting.push_back(event);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// The events to emit now.
    pub fn due_app_events(&self) -> VecDeque<AppEvent> {
        mem::take(&mut *self.app_events.lock())
    }
}
