//! Dashboard sessions: an API key is exchanged for a random token, of which only the hash is stored.
//!
//! Invariants: a session has no more rights than its key and ends with it; a lookup does no IO; each key has at most
//! [`MAX_PER_KEY`] sessions.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::{Mutex, RwLock};
use sha2::{Digest as _, Sha256};

use super::keys::{Keys, Principal};
use crate::domain::clock::{Millis, Random};
use crate::domain::dashboard_session::{DashboardSession, MAX_PER_KEY, SessionHash};
use crate::service::{Access, ServiceError};
use crate::store::dashboard_sessions::StoredSession;
use crate::store::{Store, StoreError};

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// Random bytes of the id of the installation.
const INSTALLATION_BYTES: usize = 6;

/// All sessions, in memory.
pub struct DashboardSessions {
    /// Part of the cookie's name, because two daemons on one host share its cookies.
    installation: String,
    open: RwLock<HashMap<SessionHash, DashboardSession>>,
    /// Sessions whose last use is not stored yet.
    used: Mutex<HashSet<SessionHash>>,
    /// Held during a sign-in, so that concurrent ones do not exceed the limit.
    sign_in: tokio::sync::Mutex<()>,
}

/// A new session, with the only copy of its token.
pub struct NewSession {
    /// The value of the cookie.
    pub token: String,
    /// The identity and rights of the session.
    pub principal: Principal,
    /// The session.
    pub session: DashboardSession,
}

impl DashboardSessions {
    /// Reads the stored sessions of these keys.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn load(store: &Store, keys: &Keys, random: &dyn Random) -> Result<Self, StoreError> {
        let mut made = vec![0_u8; INSTALLATION_BYTES];
        random.fill(&mut made);
        let installation = hex::encode(store.own_secret("installation", made).await?);
        let stored = store.read(|store| store.dashboard_sessions()).await?;
        let (valid, ended): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|stored| keys.has_hash(&stored.session.key_id, &stored.key_hash));
        if !ended.is_empty() {
            let ended: Vec<_> = ended.into_iter().map(|stored| stored.hash).collect();
            store.write_patiently(move |tx| tx.delete_dashboard_sessions(&ended)).await?;
        }
        let open = valid.into_iter().map(|stored| (stored.hash, stored.session)).collect();
        Ok(Self {
            installation,
            open: RwLock::new(open),
            used: Mutex::default(),
            sign_in: tokio::sync::Mutex::default(),
        })
    }

    /// The session, if it has not ended.
    fn find(&self, hash: &SessionHash, now: Millis) -> Option<DashboardSession> {
        self.open.read().get(hash).filter(|session| !session.is_over(now)).cloned()
    }

    pub(super) fn is_open(&self, hash: &SessionHash, now: Millis) -> bool {
        self.find(hash, now).is_some()
    }

    /// Removes the sessions of a revoked key from memory.
    pub(super) fn remove_of_key(&self, key_id: &str) {
        self.open.write().retain(|_, session| session.key_id != key_id);
    }

    fn touch(&self, hash: SessionHash, now: Millis) -> Option<DashboardSession> {
        let mut open = self.open.write();
        let session = open.get_mut(&hash).filter(|session| !session.is_over(now))?;
        session.last_used_at = now;
        self.used.lock().insert(hash);
        Some(session.clone())
    }

    /// The least recently used sessions of a key that exceed the limit when one is added.
    fn surplus(&self, key_id: &str) -> Vec<SessionHash> {
        let open = self.open.read();
        let mut of_key: Vec<_> = open.iter().filter(|(_, session)| session.key_id == key_id).collect();
        of_key.sort_by_key(|(_, session)| session.last_used_at);
        let surplus = (of_key.len() + 1).saturating_sub(MAX_PER_KEY);
        of_key.into_iter().take(surplus).map(|(hash, _)| *hash).collect()
    }
}

fn hash_of(token: &str) -> SessionHash {
    SessionHash(Sha256::digest(token.as_bytes()).into())
}

impl Access {
    /// The id of this installation, for the name of the cookie.
    #[must_use]
    pub fn installation(&self) -> &str {
        &self.sessions.installation
    }

    /// Opens a session of a key. At the limit it replaces the least recently used session of the key.
    ///
    /// # Errors
    /// If the key was revoked meanwhile, or the store fails.
    pub async fn open_session(&self, key: &Principal) -> Result<NewSession, ServiceError> {
        let _one_at_a_time = self.sessions.sign_in.lock().await;
        let now = self.clock.now();
        let mut bytes = [0_u8; TOKEN_BYTES];
        self.random.fill(&mut bytes);
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let hash = hash_of(&token);
        let key_hash = self.keys.hash_of(&key.key_id).ok_or(ServiceError::KeyNotFound)?;
        let session = DashboardSession::new(key.key_id.clone(), key.expires_at, now);
        let stored = StoredSession { hash, key_hash, session: session.clone() };
        let surplus = self.sessions.surplus(&key.key_id);
        let removed = surplus.clone();
        self.store
            .write(move |tx| {
                tx.delete_dashboard_sessions(&removed)?;
                tx.insert_dashboard_session(&stored)
            })
            .await?;
        {
            let mut open = self.sessions.open.write();
            surplus.iter().for_each(|hash| drop(open.remove(hash)));
            open.insert(hash, session.clone());
        }
        if !surplus.is_empty() {
            self.keys.announce_change();
        }
        tracing::info!(key = key.key_id, "signed in to the dashboard");
        let principal = Principal { session: Some(hash), expires_at: Some(session.ends_at), ..key.clone() };
        Ok(NewSession { token, principal, session })
    }

    /// The hash of a token whose session is open. It does not count as a use.
    #[must_use]
    pub fn find_session(&self, token: &str) -> Option<SessionHash> {
        let hash = hash_of(token);
        self.sessions.is_open(&hash, self.clock.now()).then_some(hash)
    }

    /// The identity and rights of an open session. Counts as a use of it.
    #[must_use]
    pub fn authenticate_session(&self, hash: SessionHash) -> Option<Principal> {
        let now = self.clock.now();
        let key_id = self.sessions.find(&hash, now)?.key_id;
        let key = self.keys.principal(&key_id, now)?;
        let session = self.sessions.touch(hash, now)?;
        Some(Principal { session: Some(hash), expires_at: Some(session.ends_at), ..key })
    }

    /// The session of a request.
    #[must_use]
    pub fn session_of(&self, principal: &Principal) -> Option<DashboardSession> {
        self.sessions.find(&principal.session?, self.clock.now())
    }

    /// When the key of a request expires.
    #[must_use]
    pub fn key_expiry(&self, principal: &Principal) -> Option<Millis> {
        self.keys.expiry(&principal.key_id)
    }

    /// Ends the session of a request, and its sockets and streams. Returns `false` if it has none.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn end_session(&self, principal: &Principal) -> Result<bool, ServiceError> {
        let Some(hash) = principal.session else { return Ok(false) };
        self.store.write(move |tx| tx.delete_dashboard_sessions(&[hash])).await?;
        self.sessions.open.write().remove(&hash);
        self.keys.announce_change();
        tracing::info!(key = principal.key_id, "signed out of the dashboard");
        Ok(true)
    }

    /// Stores when sessions were last used, and removes those that have ended.
    pub(super) async fn save_sessions(&self) {
        let now = self.clock.now();
        let sessions = &self.sessions;
        let ended: Vec<SessionHash> = {
            let open = sessions.open.read();
            open.iter().filter(|(_, session)| session.is_over(now)).map(|(hash, _)| *hash).collect()
        };
        let used: Vec<(SessionHash, Millis)> = {
            let (open, mut used) = (sessions.open.read(), sessions.used.lock());
            used.drain().filter_map(|hash| Some((hash, open.get(&hash)?.last_used_at))).collect()
        };
        if ended.is_empty() && used.is_empty() {
            return;
        }
        let removed = ended.clone();
        let stored = self.store.write_patiently(move |tx| {
            tx.delete_dashboard_sessions(&removed)?;
            tx.touch_dashboard_sessions(&used)
        });
        if let Err(error) = stored.await {
            tracing::warn!(%error, "last use of dashboard sessions not stored");
            return;
        }
        if !ended.is_empty() {
            let mut open = sessions.open.write();
            open.retain(|hash, _| !ended.contains(hash));
            drop(open);
            self.keys.announce_change();
        }
    }
}
