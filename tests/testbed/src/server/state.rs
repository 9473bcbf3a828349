//! An account: a phone and its companions.
//!
//! Invariants: an account's phone and names never change; everything else is behind the account's own
//! lock, which is never held over an await (take what is needed, let go, then send).

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
use crate::phone::Phone;
use crate::scene::Scene;
use crate::wire::connection::Link;
use crate::wire::noise::Pattern;

/// One phone number and all devices that speak for it.
pub struct Account {
    /// The number, digits only.
    pub number: String,
    /// The user part of its LID.
    pub lid: String,
    /// Its primary device.
    pub phone: Phone,
    state: Mutex<AccountState>,
}

/// What changes of an account.
#[derive(Default)]
pub struct AccountState {
    /// The name that its person chose, empty until one is.
    pub push_name: String,
    /// The linked devices by their number, which begins at 1.
    pub companions: BTreeMap<u16, Companion>,
    /// What goes wrong for it.
    pub faults: Faults,
    /// The people around it.
    pub scene: Scene,
    /// What all its devices share, by name.
    pub collections: BTreeMap<String, Collection>,
    /// Who is there, and who types.
    pub presence: Presences,
    /// What goes wrong with its messages.
    pub message_faults: MessageFaults,
    /// How the people around it behave.
    pub behaviour: Behaviour,
    /// What the network saw of it.
    pub network_view: NetworkView,
    /// People whose number it was never told, by number.
    pub hidden_numbers: BTreeSet<String>,
    /// What was written to it lately.
    pub recent_messages: RecentMessages,
    /// The polls that its phone saw.
    pub polls: Polls,
    /// What waits for phones that are off, in order; the first may be on its way.
    pub(super) for_phones: VecDeque<MessageInTransit>,
    /// The last device number that was given away.
    last_device: u16,
}

/// A linked device.
pub struct Companion {
    /// Its number in the account's JIDs.
    pub device: u16,
    /// Its index in the list that the phone signs.
    pub key_index: u32,
    /// What it may log in with.
    pub noise_key: [u8; 32],
    /// Its Signal identity.
    pub identity: [u8; 32],
    /// Names it in Signal sessions.
    pub registration_id: u32,
    /// What others begin a session with.
    pub signed_prekey: SignedPrekey,
    /// What each session uses up one of.
    pub prekeys: VecDeque<Prekey>,
    /// The `ADVSignedDeviceIdentity`, signed by the phone and by itself.
    pub device_identity: Vec<u8>,
    /// What it calls itself.
    pub client_name: String,
    /// Its connection, while it is online.
    pub link: Option<Link>,
    /// Whether it takes messages now (`<active/>`).
    pub active: bool,
    /// Whether the phone has shared the key of the account's collections with it.
    pub has_state_key: bool,
    /// What it has not confirmed.
    pub queue: Queue,
    /// Which handshake each of its logins made, the newest last, at most [`LOGINS`].
    pub logins: VecDeque<Pattern>,
}

/// How many logins of a companion are remembered.
const LOGINS: usize = 100;

/// The public half of a signed prekey.
#[derive(Clone)]
pub struct SignedPrekey {
    /// Its id.
    pub id: u32,
    /// The public key.
    pub public: [u8; 32],
    /// The identity's signature over it.
    pub signature: [u8; 64],
}

/// The public half of a prekey.
#[derive(Clone, Copy)]
pub struct Prekey {
    /// Its id.
    pub id: u32,
    /// The public key.
    pub public: [u8; 32],
}

impl AccountState {
    /// Whether somebody hides their number from the account.
    #[must_use]
    pub fn hides(&self, number: &str) -> bool {
        self.hidden_numbers.contains(number)
    }
}

impl Account {
    /// An account with a phone and no companions.
    #[must_use]
    pub fn new(number: String, lid: String, phone: Phone) -> Arc<Self> {
        Arc::new(Self { number, lid, phone, state: Mutex::default() })
    }

    /// What changes of it. Never hold it over an await.
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

    /// The numbers of its companions, which do not include the phone's 0.
    #[must_use]
    pub fn devices(&self) -> Vec<u16> {
        self.lock().companions.keys().copied().collect()
    }

    /// A device number that was never used before.
    #[must_use]
    pub fn reserve_device(&self) -> u16 {
        let mut state = self.lock();
        state.last_device += 1;
        state.last_device
    }

    /// Changes a companion; none when it is not linked (any more).
    pub fn with<T>(&self, device: u16, change: impl FnOnce(&mut Companion) -> T) -> Option<T> {
        self.lock().companions.get_mut(&device).map(change)
    }
}

impl Companion {
    /// Remembers how it logged in.
    pub fn logged_in_with(&mut self, pattern: Pattern) {
        if self.logins.len() == LOGINS {
            self.logins.pop_front();
        }
        self.logins.push_back(pattern);
    }
}
