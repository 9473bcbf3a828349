//! A phone: the keys of an account's primary device, and what only a phone does.
//!
//! `keys` makes keys, `adv` vouches for companions. **Entry points for what a phone does besides:**
//! [`Phone`] is part of [`crate::server::state::Account`], so fields added to it (Signal sessions,
//! sender keys, app-state keys; behind locks of their own) live as long as the account;
//! [`linked`] is called once a companion is linked, [`prekeys_uploaded`] each time a companion has
//! uploaded prekeys (send it the APP_STATE_SYNC_KEY_SHARE then).

pub mod adv;
pub mod app_state;
pub mod blobs;
pub mod history;
mod history_sync;
pub mod inbound;
pub mod keys;
pub mod outbound;
pub mod signal;
pub mod state_key;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wacore_libsignal::protocol::KeyPair;

use crate::server::dispatch::Session;
use crate::server::state::Account;
use signal::Signal;
use state_key::StateKey;

/// The id of every phone's signed prekey.
const SIGNED_PREKEY: u32 = 1;

/// The primary device of an account.
pub struct Phone {
    /// Its identity, which vouches for the companions.
    pub identity: KeyPair,
    /// Names it in Signal sessions.
    pub registration_id: u32,
    /// What others begin a Signal session with.
    pub signed_prekey: SignedPrekeyPair,
    /// Marks the identity in the lists of devices (`raw_id`).
    pub raw_id: u32,
    /// What the account's collections are encrypted with.
    pub state_key: StateKey,
    signal: Mutex<Signal>,
}

/// A signed prekey with its private half.
pub struct SignedPrekeyPair {
    /// Its id.
    pub id: u32,
    /// Both halves.
    pub pair: KeyPair,
    /// The identity's signature over the public half.
    pub signature: Vec<u8>,
}

impl Phone {
    /// A new phone with keys of its own.
    ///
    /// # Errors
    /// When the random numbers fail a signature.
    pub fn generate() -> anyhow::Result<Self> {
        let identity = keys::pair();
        let pair = keys::pair();
        let signature = keys::sign(&identity, &pair.public_key.serialize())?;
        let registration_id = keys::registration_id();
        let signed_prekey = SignedPrekeyPair { id: SIGNED_PREKEY, pair, signature };
        let signal = Mutex::new(Signal::new(&identity, registration_id, &signed_prekey));
        Ok(Self {
            identity,
            registration_id,
            signed_prekey,
            raw_id: keys::registration_id(),
            state_key: StateKey::new(),
            signal,
        })
    }

    /// Its sessions and chains. Taken before an account's own lock, never the other way round.
    pub fn signal(&self) -> MutexGuard<'_, Signal> {
        self.signal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The public half of its identity.
    #[must_use]
    pub fn public_identity(&self) -> [u8; 32] {
        keys::public(&self.identity)
    }
}

/// Called once a companion is linked, before it logs in for the first time.
pub fn linked(_account: &Arc<Account>, _device: u16) {}

/// Called each time a companion has uploaded prekeys.
pub async fn prekeys_uploaded(session: &Session) {
    if state_key::share(session).await {
        history_sync::send(session).await;
    }
}
