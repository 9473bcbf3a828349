//! Typing: states in memory, which end by themselves. In device conversations the contact and the operators see each
//! other type.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;

use super::OperatorChat;
use super::authentication::SignedIn;
use crate::domain::event::TypingKind;
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::inbox::InboxRights;
use crate::domain::operator_chat::typing::Typist;
use crate::domain::operator_chat::user::ChatUser;
use crate::service::log::ContactTyping;
use crate::store::StoreError;

/// The number that stands for the network in place of a socket; sessions begin with 1.
const NETWORK: u64 = 0;

impl OperatorChat {
    /// Records a start; `true` if it is to be emitted.
    pub fn start_typing(&self, typist: Typist, socket: u64) -> bool {
        let started = self.typing.lock().start(typist, socket, self.now());
        self.changed.notify_one();
        started
    }

    /// Records a stop; `true` if it is to be emitted.
    pub fn stop_typing(&self, typist: Typist) -> bool {
        self.typing.lock().stop(typist)
    }

    /// Whether a user types.
    #[must_use]
    pub fn is_typing(&self, typist: Typist) -> bool {
        self.typing.lock().is_typing(typist)
    }

    /// Records a change of a client that sends many; `true` if it is to be emitted now. Others may be emitted
    /// later, by [`OperatorChat::due_typing`].
    pub fn throttle_typing(&self, typist: Typist, on: bool, socket: u64) -> bool {
        let passes = self.typing_throttle.lock().pass(typist, on, socket, self.now());
        self.changed.notify_one();
        passes && self.set_typing(typist, on, socket)
    }

    /// The throttled changes to emit now.
    pub fn due_typing(&self) -> Vec<(Typist, bool)> {
        let due = self.typing_throttle.lock().due(self.now());
        let emitted = due.into_iter().filter(|(typist, on, socket)| self.set_typing(*typist, *on, *socket));
        emitted.map(|(typist, on, _)| (typist, on)).collect()
    }

    fn set_typing(&self, typist: Typist, on: bool, socket: u64) -> bool {
        if on { self.start_typing(typist, socket) } else { self.stop_typing(typist) }
    }

    /// Ends the state of a user who left the conversation; `true` if the stop is to be emitted.
    pub fn typist_left(&self, typist: Typist) -> bool {
        self.typing_throttle.lock().left(typist);
        self.stop_typing(typist)
    }

    /// Ends the states of a closed socket, and returns them.
    pub fn typing_of_closed_socket(&self, socket: u64) -> Vec<Typist> {
        self.typing_throttle.lock().closed(socket);
        self.typing.lock().closed(socket)
    }

    /// Ends the states whose time is over, and returns them.
    pub fn expired_typing(&self) -> Vec<Typist> {
        self.typing.lock().expired(self.now())
    }

    /// Relays the typing of an operator to the network, at most once in ten seconds. Others of the inbox may type at the
    /// same time: the contact sees one typist.
    pub fn relay_typing(self: &Arc<Self>, me: &SignedIn, conversation: &Conversation, on: bool) {
        let Some(chat) = conversation.device_chat() else { return };
        let may_reply = chat.rights_of(&me.user) >= Some(InboxRights::Reply);
        if !may_reply || !self.typing_relay.lock().pass(conversation.id, on, self.now()) {
            return;
        }
        let (this, device, chat) = (self.clone(), chat.device.clone(), chat.chat.clone());
        self.tasks.spawn("chat-typing-relay", async move {
            // A device that is offline shows no typing.
            if let Err(error) = this.messaging.typing(&device, &chat, TypingKind::Text, on).await {
                tracing::debug!(%device, %error, "typing of an operator not relayed");
            }
        });
    }

    /// The contact that types, for the events of its state.
    #[must_use]
    pub fn typing_contact(&self, contact: UserPk) -> Option<ChatUser> {
        self.typing_contacts.lock().get(&contact).cloned()
    }

    /// The changes of contacts to emit now.
    pub fn due_contact_typing(&self) -> Vec<(Typist, bool)> {
        std::mem::take(&mut *self.contact_typing.lock())
    }

    /// Follows the typing of the contacts of bridged devices.
    pub(super) async fn follow_contact_typing(self: Arc<Self>) {
        let soft = self.tasks.soft().clone();
        let mut changes = self.logs.follow_typing();
        while let Some(change) = soft.run_until_cancelled(changes.recv()).await {
            match change {
                Ok(change) => {
                    if let Err(error) = self.contact_types(change).await {
                        tracing::warn!(%error, "typing of a contact not emitted");
                    }
                }
                // A later start or stop is emitted; a missed stop expires.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn contact_types(&self, change: ContactTyping) -> Result<(), StoreError> {
        let ContactTyping { device, chat, on } = change;
        let found = self.store.read::<_, StoreError, _>(move |store| {
            let Some(conversation) = store.device_conversation(&device, &chat)? else { return Ok(None) };
            Ok(store.chat_user_by_pk(conversation.contact)?.map(|contact| (conversation.id, contact)))
        });
        let Some((conversation, contact)) = found.await? else { return Ok(()) };
        let typist = (conversation, contact.pk);
        if on {
            self.typing_contacts.lock().insert(contact.pk, contact);
        }
        let is_change = if on { self.start_typing(typist, NETWORK) } else { self.stop_typing(typist) };
        if is_change {
            self.contact_typing.lock().push((typist, on));
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Forgets contacts that stopped typing.
    pub fn forget_typing_contacts(&self) {
        let typing = self.typing.lock();
        self.typing_contacts.lock().retain(|contact, _| typing.types_anywhere(*contact));
    }
}
