//! An account: a phone and its companions. Phone, number and LID of an account never change; everything else
//! is behind the account's lock, which is never held over an await.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wacore_binary::Jid;

use super::behaviour::Behaviour;
use super::collections::Collection;
use super::faults::Faults;
use super::message_faults::MessageFaults;
use super::message_store::{Polls, RecentMessages};
use super::messages::MessageInTransit;
use super::network_view::NetworkView;
use super::offline::Queue;
use super::presence::Presences;
use crate::media::reupload::PhoneFile;
use crate::phone::Phone;
use crate::phone::passkey::Passkey;
use crate::scene::Scene;
use crate::wire::connection::Link;
use crate::wire::noise::Pattern;

/// A phone number and all its devices.
pub struct Account {
    /// The number, digits only.
    pub number: String,
    /// The user part of its LID.
    pub lid: String,
    /// Its primary device.
    pub phone: Phone,
    state: Mutex<AccountState>,
}

/// The changing state of an account.
#[derive(Default)]
pub struct AccountState {
    /// The profile name; empty until it is set.
    pub push_name: String,
    /// The linked devices by device number, from 1.
    pub companions: BTreeMap<u16, Companion>,
    /// Its passkey; a client is linked only with a signature of it.
    pub passkey: Option<Passkey>,
    /// Whether the server leaves its queries for all groups unanswered.
    pub leaves_groups_unanswered: bool,
    /// The armed faults of its connections.
    pub faults: Faults,
    /// The people and groups around it.
    pub scene: Scene,
    /// The collections that its devices share, by name.
    pub collections: BTreeMap<String, Collection>,
    /// The presence of its companions and of people.
    pub presence: Presences,
    /// The armed faults of its messages.
    pub message_faults: MessageFaults,
    /// How the people around it react to messages.
    pub behaviour: Behaviour,
    /// The record for `network` of the control API.
    pub network_view: NetworkView,
    /// The numbers of people who hide them from the account.
    pub hidden_numbers: BTreeSet<String>,
    /// Recent messages to it.
    pub recent_messages: RecentMessages,
    /// The polls that its phone received.
    pub polls: Polls,
    /// The files of messages that its phone has, newest last.
    pub phone_files: VecDeque<PhoneFile>,
    /// Messages that wait for phones, in order; the first may be in delivery.
    pub(super) for_phones: VecDeque<MessageInTransit>,
    /// The last device number in use.
    last_device: u16,
}

/// A linked device.
pub struct Companion {
    /// The device number in the account's JIDs.
    pub device: u16,
    /// Its index in the list that the phone signs.
    pub key_index: u32,
    /// The key it logs in with.
    pub noise_key: [u8; 32],
    /// Its Signal identity.
    pub identity: [u8; 32],
    /// Its id in Signal sessions.
    pub registration_id: u32,
    /// The signed prekey with which others start a session.
    pub signed_prekey: SignedPrekey,
    /// One-time keys; each new session uses up one.
    pub prekeys: VecDeque<Prekey>,
    /// The `ADVSignedDeviceIdentity`, signed by the phone and by itself.
    pub device_identity: Vec<u8>,
    /// The client's name.
    pub client_name: String,
    /// Its connection, while it is online.
    pub link: Option<Link>,
    /// Whether it receives messages now (`<active/>`).
    pub active: bool,
    /// Whether the phone has shared the key of the collections with it.
    pub has_state_key: bool,
    /// Stanzas that it has not confirmed.
    pub queue: Queue,
    /// The handshake pattern of its last [`LOGINS`] logins, newest last.
    pub logins: VecDeque<Pattern>,
}

/// The most recorded logins of a companion.
const LOGINS: usize = 100;

/// The public part of a signed prekey.
#[derive(Clone)]
pub struct SignedPrekey {
    /// Its id.
    pub id: u32,
    /// The public key.
    pub public: [u8; 32],
    /// The identity's signature of the public key.
    pub signature: [u8; 64],
}

/// The public part of a prekey.
#[derive(Clone, Copy)]
pub struct Prekey {
    /// Its id.
    pub id: u32,
    /// The public key.
    pub public: [u8; 32],
}

impl AccountState {
    /// Whether a person hides their number from the account.
    #[must_use]
    pub fn hides(&self, number: &str) -> bool {
        self.hidden_numbers.contains(number)
    }
}

impl Account {
    /// An account with a phone and without companions.
    #[must_use]
    pub fn new(number: String, lid: String, phone: Phone) -> Arc<Self> {
        Arc::new(Self { number, lid, phone, state: Mutex::default() })
    }

    /// The changing state; never hold it over an await.
    pub fn lock(&self) -> MutexGuard<'_, AccountState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `number:device@s.whatsapp.net`; device 0 is the phone.
    #[must_use]
    pub fn jid(&self, device: u16) -> Jid {
        Jid::pn_device(self.number.as_str(), device)
    }

    /// `lid:device@lid`; device 0 is the phone.
    #[must_use]
    pub fn lid_jid(&self, device: u16) -> Jid {
        Jid::lid_device(self.lid.as_str(), device)
    }

    /// The connection of a companion, if it is online.
    #[must_use]
    pub fn link(&self, device: u16) -> Option<Link> {
        self.lock().companions.get(&device)?.link.clone()
    }

    /// The connections of all companions that are online.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        self.lock().companions.values().filter_map(|companion| companion.link.clone()).collect()
    }

    /// The device numbers of its companions, without the phone's 0.
    #[must_use]
    pub fn devices(&self) -> Vec<u16> {
        self.lock().companions.keys().copied().collect()
    }

    /// A device number that was never used.
    #[must_use]
    pub fn reserve_device(&self) -> u16 {
        let mut state = self.lock();
        state.last_device += 1;
        state.last_device
    }

    /// Changes a companion; `None` if it is not linked.
    pub fn with<T>(&self, device: u16, change: impl FnOnce(&mut Companion) -> T) -> Option<T> {
        self.lock().companions.get_mut(&device).map(change)
    }
}

impl Companion {
    /// Records the handshake of a login.
    pub fn logged_in_with(&mut self, pattern: Pattern) {
        if self.logins.len() == LOGINS {
            self.logins.pop_front();
        }
        self.logins.push_back(pattern);
    }
}
