//! A phone: the keys and actions of an account's primary device. `keys` generates keys, `adv` signs
//! companions.
//!
//! [`Phone`] is part of [`crate::server::state::Account`], so that its Signal sessions, sender keys and
//! app-state keys, each behind its own lock, live as long as the account. [`prekeys_uploaded`] is called
//! after each upload of prekeys; the phone then shares its app-state key and its history.

pub mod adv;
pub mod app_state;
pub mod blobs;
pub mod history;
mod history_sync;
pub mod inbound;
pub mod keys;
pub mod outbound;
pub mod passkey;
pub mod signal;
pub mod state_key;

use std::sync::{Mutex, MutexGuard, PoisonError};

use wacore_libsignal::protocol::KeyPair;

use crate::server::dispatch::Session;
use signal::Signal;
use state_key::StateKey;

/// The id of the signed prekey, the same on all phones.
const SIGNED_PREKEY: u32 = 1;

/// The primary device of an account.
pub struct Phone {
    /// Its identity, which signs the companions.
    pub identity: KeyPair,
    /// Its id in Signal sessions.
    pub registration_id: u32,
    /// The signed prekey with which others start a session.
    pub signed_prekey: SignedPrekeyPair,
    /// Identifies the phone in device lists (`raw_id`).
    pub raw_id: u32,
    /// The key of the account's collections.
    pub state_key: StateKey,
    signal: Mutex<Signal>,
}

/// A signed prekey with its private key.
pub struct SignedPrekeyPair {
    /// Its id.
    pub id: u32,
    /// The key pair.
    pub pair: KeyPair,
    /// The identity's signature of the public key.
    pub signature: Vec<u8>,
}

impl Phone {
    /// A phone with new keys.
    ///
    /// # Errors
    /// If the key cannot sign.
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

    /// Its sessions and chains. Locked before an account's own lock, never after it.
    pub fn signal(&self) -> MutexGuard<'_, Signal> {
        self.signal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The public key of its identity.
    #[must_use]
    pub fn public_identity(&self) -> [u8; 32] {
        keys::public(&self.identity)
    }
}

/// Called after a companion uploaded prekeys.
pub async fn prekeys_uploaded(session: &Session) {
    if state_key::share(session).await {
        history_sync::send(session).await;
    }
}
