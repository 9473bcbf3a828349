//! Actions on a phone besides writing, such as pinning chats and naming contacts. They reach all devices as
//! encrypted patches; changes of other devices reach the phone in the same way.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rand::RngExt as _;
use wacore_appstate::decode::Mutation;
use wacore_appstate::hash::{HashState, generate_patch_mac};
use wacore_appstate::schemas::{self, Schema};
use wacore_appstate::{
    AppStateError, ExpandedAppStateKeys, encode_record, expand_app_state_keys, process_patch,
};
use wacore_binary::Jid;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::sync_action_value as action;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

use crate::server::collections::Collection;
use crate::server::state::Account;

/// The wire's value of muting forever.
const FOR_EVER: i64 = -1;

/// The key of the collections, which the phone creates and shares with its devices.
#[derive(Debug, Clone)]
pub struct SyncKey {
    /// The key's id.
    pub id: Vec<u8>,
    expanded: Arc<ExpandedAppStateKeys>,
}

/// A reference to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRef {
    /// The message's chat.
    pub chat: Jid,
    /// The network id.
    pub id: String,
    /// Whether the account is the author.
    pub from_me: bool,
    /// The author, in a group, unless it is the account.
    pub participant: Option<Jid>,
}

/// An action of the phone's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhoneAction {
    /// Sets the profile name.
    PushName(String),
    /// Names a contact in the address book.
    Contact {
        /// The contact.
        jid: Jid,
        /// The contact's LID.
        lid: Option<Jid>,
        /// The name in the address book.
        name: String,
    },
    /// Writes empty favourites.
    Favorites,
    /// Writes empty chat locks.
    ChatLock,
    /// Pins or unpins a chat.
    Pin(Jid, bool),
    /// Archives or unarchives a chat.
    Archive(Jid, bool),
    /// Mutes until a time in milliseconds, forever (`Some(None)`), or unmutes.
    Mute(Jid, Option<Option<i64>>),
    /// Marks a chat as read or unread.
    Read(Jid, bool),
    /// Clears a chat.
    Clear(Jid),
    /// Deletes a chat.
    Delete(Jid),
    /// Stars a message or removes its star.
    Star(MessageRef, bool),
    /// Deletes a message for the account only.
    DeleteForMe(MessageRef),
}

impl SyncKey {
    /// The key of an account.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        let key = &account.phone.state_key;
        Self::new(key.id.to_vec(), &key.data)
    }

    /// The key with this id and these 32 bytes.
    #[must_use]
    pub fn new(id: Vec<u8>, data: &[u8]) -> Self {
        Self { id, expanded: Arc::new(expand_app_state_keys(data)) }
    }

    /// The patch that applies these actions to a collection, and the resulting hash.
    ///
    /// # Errors
    /// If the collection's records do not match its hash.
    pub fn patch(
        &self,
        name: &str,
        collection: &Collection,
        actions: &[PhoneAction],
        now_ms: i64,
    ) -> Result<(wa::SyncdPatch, HashState)> {
        let mutations: Vec<wa::SyncdMutation> =
            actions.iter().map(|phone_action| self.mutation(phone_action, now_ms)).collect();
        let mut state = collection.hash().clone();
        let (_, done) = state.update_hash(&mutations, |index, _| Ok(collection.value_mac(index)));
        done?;
        state.version = collection.version() + 1;
        let mut patch = wa::SyncdPatch {
            version: MessageField::some(wa::SyncdVersion { version: Some(state.version) }),
            snapshot_mac: Some(state.generate_snapshot_mac(name, &self.expanded.snapshot_mac)),
            key_id: MessageField::some(wa::KeyId { id: Some(self.id.clone()) }),
            mutations,
            ..wa::SyncdPatch::default()
        };
        patch.patch_mac = Some(generate_patch_mac(&patch, name, &self.expanded.patch_mac, state.version));
        Ok((patch, state))
    }

    /// Decrypts a device's patch for a collection and verifies each hash and MAC.
    ///
    /// # Errors
    /// If one is wrong, or the patch was made with another key.
    pub fn read(
        &self,
        name: &str,
        collection: &Collection,
        patch: &wa::SyncdPatch,
    ) -> Result<(Vec<Mutation>, HashState)> {
        let patch = wa::SyncdPatch {
            version: MessageField::some(wa::SyncdVersion { version: Some(collection.version() + 1) }),
            ..patch.clone()
        };
        ensure!(patch.key_id.as_option().and_then(|key| key.id.as_ref()) == Some(&self.id), "an unknown key");
        let mut state = collection.hash().clone();
        let key = |id: &[u8]| match id == self.id {
            true => Ok(Arc::clone(&self.expanded)),
            false => Err(AppStateError::KeyNotFound),
        };
        let before = |index: &[u8]| Ok(collection.value_mac(index));
        let read = process_patch(&patch, &mut state, key, before, true, name)
            .context("the patch is not what its hashes say")?;
        ensure!(!read.state.mac_mismatch_fatal, "the patch was built on other records than there are");
        Ok((read.mutations, read.state))
    }

    fn mutation(&self, phone_action: &PhoneAction, now_ms: i64) -> wa::SyncdMutation {
        let (schema, parts, value) = phone_action.on_wire();
        let index: Vec<String> = std::iter::once(schema.name.to_owned()).chain(parts).collect();
        let index = serde_json::Value::from(index).to_string();
        let value = wa::SyncActionValue { timestamp: Some(now_ms), ..value };
        let iv: [u8; 16] = rand::rng().random();
        let version = i32::try_from(schema.version).unwrap_or(1);
        let set = SyncdOperation::SET;
        encode_record(set, index.as_bytes(), &value, &self.expanded, &self.id, &iv, version).0
    }
}

impl PhoneAction {
    /// The collection that the action changes.
    #[must_use]
    pub fn collection(&self) -> &'static str {
        self.on_wire().0.collection.as_str()
    }

    fn on_wire(&self) -> (&'static Schema, Vec<String>, wa::SyncActionValue) {
        let empty = wa::SyncActionValue::default;
        match self {
            Self::PushName(name) => {
                let set = action::PushNameSetting { name: Some(name.clone()) };
                let value = wa::SyncActionValue { push_name_setting: MessageField::some(set), ..empty() };
                (&schemas::SETTING_PUSH_NAME, Vec::new(), value)
            }
            Self::Favorites => {
                let set = MessageField::some(action::FavoritesAction::default());
                (&schemas::FAVORITES, Vec::new(), wa::SyncActionValue { favorites_action: set, ..empty() })
            }
            Self::ChatLock => {
                let set = MessageField::some(wa::ChatLockSettings::default());
                let value = wa::SyncActionValue { chat_lock_settings: set, ..empty() };
                (&schemas::CHAT_LOCK_SETTINGS, Vec::new(), value)
            }
            Self::Contact { jid, lid, name } => {
                let set = action::ContactAction {
                    full_name: Some(name.clone()),
                    first_name: name.split(' ').next().map(str::to_owned),
                    lid_jid: lid.as_ref().map(ToString::to_string),
                    save_on_primary_addressbook: Some(true),
                    ..action::ContactAction::default()
                };
                let value = wa::SyncActionValue { contact_action: MessageField::some(set), ..empty() };
                (&schemas::CONTACT, vec![jid.to_string()], value)
            }
            Self::Pin(chat, on) => {
                let set = action::PinAction { pinned: Some(*on) };
                let value = wa::SyncActionValue { pin_action: MessageField::some(set), ..empty() };
                (&schemas::PIN, vec![chat.to_string()], value)
            }
            Self::Archive(chat, on) => {
                let set = action::ArchiveChatAction { archived: Some(*on), ..Default::default() };
                let value = wa::SyncActionValue { archive_chat_action: MessageField::some(set), ..empty() };
                (&schemas::ARCHIVE, vec![chat.to_string()], value)
            }
            Self::Mute(chat, muted) => {
                let set = action::MuteAction {
                    muted: Some(muted.is_some()),
                    mute_end_timestamp: muted.map(|until| until.unwrap_or(FOR_EVER)),
                    ..action::MuteAction::default()
                };
                let value = wa::SyncActionValue { mute_action: MessageField::some(set), ..empty() };
                (&schemas::MUTE, vec![chat.to_string()], value)
            }
            Self::Read(chat, on) => {
                let set = action::MarkChatAsReadAction { read: Some(*on), ..Default::default() };
                let value =
                    wa::SyncActionValue { mark_chat_as_read_action: MessageField::some(set), ..empty() };
                (&schemas::MARK_CHAT_AS_READ, vec![chat.to_string()], value)
            }
            Self::Clear(chat) => {
                let set = MessageField::some(action::ClearChatAction::default());
                let value = wa::SyncActionValue { clear_chat_action: set, ..empty() };
                (&schemas::CLEAR_CHAT, vec![chat.to_string(), "1".to_owned(), "1".to_owned()], value)
            }
            Self::Delete(chat) => {
                let set = MessageField::some(action::DeleteChatAction::default());
                let value = wa::SyncActionValue { delete_chat_action: set, ..empty() };
                (&schemas::DELETE_CHAT, vec![chat.to_string(), "1".to_owned()], value)
            }
            Self::Star(message, on) => {
                let set = action::StarAction { starred: Some(*on) };
                let value = wa::SyncActionValue { star_action: MessageField::some(set), ..empty() };
                (&schemas::STAR, message.parts(), value)
            }
            Self::DeleteForMe(message) => {
                let set = action::DeleteMessageForMeAction { delete_media: Some(true), ..Default::default() };
                let set = MessageField::some(set);
                let value = wa::SyncActionValue { delete_message_for_me_action: set, ..empty() };
                (&schemas::DELETE_MESSAGE_FOR_ME, message.parts(), value)
            }
        }
    }
}

impl MessageRef {
    fn parts(&self) -> Vec<String> {
        let from_me = if self.from_me { "1" } else { "0" };
        let participant = self.participant.as_ref().filter(|_| !self.from_me);
        vec![
            self.chat.to_string(),
            self.id.clone(),
            from_me.to_owned(),
            participant.map_or_else(|| "0".to_owned(), ToString::to_string),
        ]
    }
}

#[cfg(test)]
mod tests {
    use wacore_appstate::process_snapshot;

    use super::*;
    use crate::server::collections::{Behind, PatchError};

    const NAME: &str = "regular_low";

    fn key() -> SyncKey {
        SyncKey::new(vec![0, 0, 0, 1], &[7; 32])
    }

    fn chat() -> Jid {
        Jid::pn("15550110001")
    }

    fn pinned(collection: &mut Collection, on: bool) -> wa::SyncdPatch {
        let (patch, hash) = key().patch(NAME, collection, &[PhoneAction::Pin(chat(), on)], 1).unwrap();
        collection.take(patch.clone(), collection.version(), hash).unwrap();
        patch
    }

    #[test]
    fn patch_decrypts_to_its_action() {
        let empty = Collection::default();
        let (patch, _) = key().patch(NAME, &empty, &[PhoneAction::Pin(chat(), true)], 1).unwrap();
        let (mutations, _) = key().read(NAME, &empty, &patch).unwrap();
        assert_eq!(mutations[0].index, ["pin_v1", "15550110001@s.whatsapp.net"]);
    }

    #[test]
    fn patch_with_wrong_key_or_records_is_rejected() {
        let mut collection = Collection::default();
        let (patch, _) = key().patch(NAME, &collection, &[PhoneAction::Pin(chat(), true)], 1).unwrap();
        assert!(SyncKey::new(vec![0, 0, 0, 1], &[8; 32]).read(NAME, &collection, &patch).is_err());
        assert!(key().read("regular_high", &collection, &patch).is_err());
        pinned(&mut collection, true);
        assert!(key().read(NAME, &collection, &patch).is_err());
    }

    #[test]
    fn late_patch_conflicts_and_gets_newer_patches() {
        let mut collection = Collection::default();
        pinned(&mut collection, true);
        let (late, hash) =
            key().patch(NAME, &Collection::default(), &[PhoneAction::Pin(chat(), false)], 2).unwrap();
        assert_eq!(collection.take(late, 0, hash), Err(PatchError::Conflict));
        let Behind::Patches(missing) = collection.since(0, false) else { panic!("one patch is not many") };
        assert_eq!(missing.len(), 1);
    }

    #[test]
    fn snapshot_replaces_all_patches() {
        let mut collection = Collection::default();
        for on in [true, false, true, false, true, false, true, false, true] {
            pinned(&mut collection, on);
        }
        let Behind::Snapshot(snapshot) = collection.since(0, true) else { panic!("nine patches are many") };
        let expanded = key().expanded;
        let read =
            process_snapshot(&snapshot, &mut HashState::default(), |_| Ok(expanded.clone()), true, NAME)
                .unwrap();
        assert_eq!(read.mutations.len(), 1);
        assert_eq!(read.state.version, 9);
    }
}
