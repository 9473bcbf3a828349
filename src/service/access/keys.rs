//! API keys: `whf_<id>_<secret>`, shown once, stored as a hash.
//!
//! Invariants: a secret is compared in constant time and appears only in the answer that creates it; no key creates
//! or revokes a wider one; a revocation takes effect at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use tokio::sync::watch;

use super::device_generations::DeviceGenerations;
use crate::domain::access::{ApiKey, Grant, GrantedDevice, Scope, descendants};
use crate::domain::clock::{Clock, Millis, Random};
use crate::domain::dashboard_session::SessionHash;
use crate::domain::ids::DeviceId;
use crate::service::{Access, ServiceError};
use crate::store::api_keys::HashedKey;
use crate::store::{Reader, Store, StoreError};

/// The id of the key of `WHARF_API_KEY`, if that has not the form `whf_<id>_<secret>`.
const ENVIRONMENT_ID: &str = "environment";
/// Minimum length of the key from the environment, in characters.
const SHORTEST_ENVIRONMENT_KEY: usize = 20;
/// Maximum keys.
const MAX_KEYS: usize = 10_000;
/// Interval of storing when keys were last used.
const BOOKKEEPING: Duration = Duration::from_secs(60);

/// The authenticated caller of a request.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The key's public part.
    pub key_id: String,
    /// The key's name.
    pub name: String,
    /// Its permissions.
    pub grant: Grant,
    /// The time of its expiry.
    pub expires_at: Option<Millis>,
    /// The dashboard session of the request, if that replaces the key.
    pub session: Option<SessionHash>,
}

/// Errors of the verification of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthError {
    /// Unknown, wrong or revoked.
    #[error("the API key is not valid")]
    Invalid,
    /// The key has expired.
    #[error("the API key has expired")]
    Expired,
}

/// A key to be created.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its display name.
    pub name: String,
    /// Its scopes.
    pub scopes: Vec<Scope>,
    /// Its devices; all if absent.
    pub devices: Option<Vec<DeviceId>>,
    /// The time of its expiry.
    pub expires_at: Option<Millis>,
}

/// A key with its current permissions.
#[derive(Debug, Clone)]
pub struct KeyView {
    /// The key.
    pub key: ApiKey,
    /// Its permissions, without the devices that were deleted.
    pub grant: Grant,
}

/// A created key, with the only copy of its text.
pub struct CreatedKey {
    /// The key.
    pub key: ApiKey,
    /// The whole text, `whf_<id>_<secret>`.
    pub secret: String,
}

/// The key in the environment cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "WHARF_API_KEY has fewer than {SHORTEST_ENVIRONMENT_KEY} characters; choose a longer one, such as 32 random bytes in hex"
)]
pub struct EnvironmentKeyError;

/// All keys, in memory: a lookup costs no IO.
pub struct Keys {
    known: RwLock<HashMap<String, Arc<HashedKey>>>,
    environment_id: Option<String>,
    used: Mutex<HashMap<String, Millis>>,
    generations: DeviceGenerations,
    /// Held while a key is created or revoked, so that no key is created by one that is being revoked.
    changing: tokio::sync::Mutex<()>,
    changes: watch::Sender<u64>,
}

impl Keys {
    /// Reads the stored keys and adds the one of the environment.
    ///
    /// # Errors
    /// If the store fails, or the key of the environment is too short.
    pub async fn load(
        store: &Store,
        environment: Option<&str>,
        now: Millis,
    ) -> Result<Result<Self, EnvironmentKeyError>, StoreError> {
        let read = |store: &Reader<'_>| Ok::<_, StoreError>((store.api_keys()?, store.device_generations()?));
        let (stored, generations) = store.read(read).await?;
        let mut known: HashMap<_, _> = stored.into_iter().map(|k| (k.key.id.clone(), Arc::new(k))).collect();
        let mut environment_id = None;
        if let Some(text) = environment {
            if text.chars().count() < SHORTEST_ENVIRONMENT_KEY {
                return Ok(Err(EnvironmentKeyError));
            }
            let (id, secret) = split(text).unwrap_or((ENVIRONMENT_ID, text));
            if secret.chars().count() < SHORTEST_ENVIRONMENT_KEY {
                return Ok(Err(EnvironmentKeyError));
            }
            let key = ApiKey {
                id: id.to_owned(),
                name: "WHARF_API_KEY".to_owned(),
                scopes: vec![Scope::Admin],
                devices: None,
                created_by: None,
                created_at: now,
                expires_at: None,
                last_used_at: None,
            };
            known.insert(id.to_owned(), Arc::new(HashedKey { key, hash: hash(secret) }));
            environment_id = Some(id.to_owned());
        }
        Ok(Ok(Self {
            known: RwLock::new(known),
            environment_id,
            used: Mutex::default(),
            generations: DeviceGenerations::new(generations),
            changing: tokio::sync::Mutex::default(),
            changes: watch::Sender::new(0),
        }))
    }

    /// Whether there is no key, so that no client can authenticate.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashed_keys().is_empty()
    }

    /// Creates the first key, which has all permissions.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn make_first(
        &self,
        store: &Store,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<CreatedKey, StoreError> {
        let new =
            NewKey { name: "admin".to_owned(), scopes: vec![Scope::Admin], devices: None, expires_at: None };
        self.add(store, None, new, clock.now(), random).await
    }

    async fn add(
        &self,
        store: &Store,
        created_by: Option<String>,
        new: NewKey,
        now: Millis,
        random: &dyn Random,
    ) -> Result<CreatedKey, StoreError> {
        let (id, secret) = (random_hex::<6>(random), random_hex::<32>(random));
        let key = ApiKey {
            id: id.clone(),
            name: new.name,
            scopes: new.scopes,
            devices: new.devices.map(|ids| self.generations.granted(ids)),
            created_by,
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        let hashed = HashedKey { key: key.clone(), hash: hash(&secret) };
        let stored = hashed.clone();
        store.write(move |tx| tx.put_api_key(&stored)).await?;
        self.known.write().insert(id.clone(), Arc::new(hashed));
        Ok(CreatedKey { key, secret: format!("whf_{id}_{secret}") })
    }

    fn hashed_keys(&self) -> parking_lot::RwLockReadGuard<'_, HashMap<String, Arc<HashedKey>>> {
        self.known.read()
    }

    fn find(&self, id: &str) -> Option<Arc<HashedKey>> {
        self.hashed_keys().get(id).cloned()
    }

    fn descendants(&self, of: &str) -> Vec<String> {
        let known = self.hashed_keys();
        let keys: Vec<_> =
            known.values().map(|hashed| (hashed.key.id.clone(), hashed.key.created_by.clone())).collect();
        drop(known);
        descendants(of, &keys)
    }

    fn verify(&self, presented: &str, now: Millis) -> Result<Principal, AuthError> {
        let (id, secret) = split(presented).unwrap_or((ENVIRONMENT_ID, presented));
        let found = self.find(id);
        // An unknown id takes the same comparison as an existing one, so that the time reveals nothing.
        let expected = found.as_ref().map_or([0_u8; 32].as_slice(), |hashed| hashed.hash.as_slice());
        let same = bool::from(hash(secret).as_slice().ct_eq(expected));
        let hashed = found.filter(|_| same).ok_or(AuthError::Invalid)?;
        if hashed.key.is_expired(now) {
            return Err(AuthError::Expired);
        }
        Ok(self.use_key(&hashed.key, now))
    }

    fn use_key(&self, key: &ApiKey, now: Millis) -> Principal {
        self.used.lock().insert(key.id.clone(), now);
        Principal {
            key_id: key.id.clone(),
            name: key.name.clone(),
            grant: self.generations.grant_of(key),
            expires_at: key.expires_at,
            session: None,
        }
    }

    /// The rights of a session's key. Counts as a use of the key.
    pub(super) fn principal(&self, id: &str, now: Millis) -> Option<Principal> {
        let hashed = self.find(id).filter(|hashed| !hashed.key.is_expired(now))?;
        Some(self.use_key(&hashed.key, now))
    }

    pub(super) fn expiry(&self, id: &str) -> Option<Millis> {
        self.find(id)?.key.expires_at
    }

    /// The hash of a key's secret.
    pub(super) fn hash_of(&self, id: &str) -> Option<Vec<u8>> {
        Some(self.find(id)?.hash.clone())
    }

    /// Whether a key with this id and this hash of its secret exists.
    pub(super) fn has_hash(&self, id: &str, hash: &[u8]) -> bool {
        self.find(id).is_some_and(|hashed| hashed.hash == hash)
    }

    /// Wakes the sockets and streams, which check whether their key or session is still valid.
    pub(super) fn announce_change(&self) {
        self.changes.send_modify(|change| *change += 1);
    }
}

fn split(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("whf_")?.split_once('_')
}

/// One round suffices, because the secret has 256 random bits.
fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

fn random_hex<const BYTES: usize>(random: &dyn Random) -> String {
    let mut bytes = [0_u8; BYTES];
    random.fill(&mut bytes);
    hex::encode(bytes)
}

impl Access {
    /// The owner of a presented key.
    ///
    /// # Errors
    /// If the key is unknown, wrong, revoked or expired.
    pub fn authenticate(&self, presented: &str) -> Result<Principal, AuthError> {
        self.keys.verify(presented, self.clock.now())
    }

    /// Whether the key of a request, and its dashboard session if it has one, are still valid.
    #[must_use]
    pub fn still_valid(&self, principal: &Principal) -> bool {
        let now = self.clock.now();
        self.keys.find(&principal.key_id).is_some_and(|hashed| !hashed.key.is_expired(now))
            && principal.session.is_none_or(|hash| self.sessions.is_open(&hash, now))
    }

    /// The permissions of a key; `None` if it does not exist any more.
    pub(in crate::service) fn grant_of(&self, key_id: &str) -> Option<Grant> {
        let hashed = self.keys.find(key_id)?;
        (!hashed.key.is_expired(self.clock.now())).then(|| self.keys.generations.grant_of(&hashed.key))
    }

    /// A receiver that changes at each revocation and at each end of a dashboard session.
    #[must_use]
    pub fn key_changes(&self) -> watch::Receiver<u64> {
        self.keys.changes.subscribe()
    }

    /// Creates a key with no more rights than its creator, which expires no later than its creator.
    ///
    /// # Errors
    /// If it has more rights, a field is invalid, the creator was just revoked, or the store fails.
    pub async fn create_key(&self, by: &Principal, mut new: NewKey) -> Result<CreatedKey, ServiceError> {
        check(&new, self.clock.now())?;
        let grant = Grant { scopes: new.scopes.clone(), devices: new.devices.clone() };
        if !by.grant.covers(&grant) {
            return Err(ServiceError::WiderKey(
                "its scopes and devices must be among those of the key that makes it".into(),
            ));
        }
        let _changing = self.keys.changing.lock().await;
        if !self.still_valid(by) {
            return Err(ServiceError::KeyNotFound);
        }
        if self.keys.hashed_keys().len() >= MAX_KEYS {
            return Err(ServiceError::Impossible {
                code: "too_many_keys",
                message: format!("there are {MAX_KEYS} keys; revoke some first"),
            });
        }
        new.expires_at = new.expires_at.into_iter().chain(by.expires_at).min();
        let creator = Some(by.key_id.clone());
        let created = self.keys.add(&self.store, creator, new, self.clock.now(), &*self.random).await?;
        tracing::info!(key = created.key.id, by = by.key_id, "API key created");
        Ok(created)
    }

    /// Keys with no more rights than the given one, oldest first.
    #[must_use]
    pub fn keys(&self, by: &Principal) -> Vec<KeyView> {
        let used = self.keys.used.lock().clone();
        let view = |hashed: &Arc<HashedKey>| {
            let mut view = self.view(hashed.key.clone());
            view.key.last_used_at = used.get(&view.key.id).copied().or(view.key.last_used_at);
            view
        };
        let known = self.keys.hashed_keys();
        let mut keys: Vec<_> =
            known.values().filter(|hashed| self.may_manage(by, &hashed.key)).map(view).collect();
        drop(known);
        keys.sort_by(|a, b| (a.key.created_at, &a.key.id).cmp(&(b.key.created_at, &b.key.id)));
        keys
    }

    /// A key with its current permissions.
    #[must_use]
    pub fn view(&self, key: ApiKey) -> KeyView {
        KeyView { grant: self.keys.generations.grant_of(&key), key }
    }

    /// Whether a key has no more rights than `by`. A key that lost a device may belong to another user of its other
    /// devices' ids: only keys of all devices manage it.
    fn may_manage(&self, by: &Principal, key: &ApiKey) -> bool {
        let grant = self.keys.generations.grant_of(key);
        let lost = grant.devices.as_ref().map(Vec::len) != key.devices.as_ref().map(Vec::len);
        by.grant.covers(&grant) && (!lost || by.grant.devices.is_none())
    }

    /// Revokes a key, and with `with_descendants` the keys that it created, directly or through others. Their
    /// requests fail from now on, and their sockets and streams end. Returns the ids of the revoked descendants.
    ///
    /// # Errors
    /// If there is no such key, it has more rights than `by`, or the store fails.
    pub async fn revoke_key(
        &self,
        by: &Principal,
        id: &str,
        with_descendants: bool,
    ) -> Result<Vec<String>, ServiceError> {
        let keys = &self.keys;
        let _changing = keys.changing.lock().await;
        let hashed = keys.find(id).ok_or(ServiceError::KeyNotFound)?;
        if keys.environment_id.as_deref() == Some(id) {
            return Err(ServiceError::KeyFromEnvironment);
        }
        if !self.may_manage(by, &hashed.key) {
            return Err(ServiceError::WiderKey("it cannot revoke a wider one either".into()));
        }
        let descendants = if with_descendants { keys.descendants(id) } else { Vec::new() };
        let revoked: Vec<String> = descendants.iter().cloned().chain([id.to_owned()]).collect();
        let stored = revoked.clone();
        self.store
            .write(move |tx| {
                stored.iter().try_for_each(|id| {
                    tx.delete_dashboard_sessions_of(id)?;
                    tx.delete_api_key(id).map(|_| ())
                })
            })
            .await?;
        for id in &revoked {
            keys.known.write().remove(id);
            keys.used.lock().remove(id);
            self.sessions.remove_of_key(id);
        }
        keys.announce_change();
        tracing::info!(key = id, by = by.key_id, descendants = descendants.len(), "API key revoked");
        Ok(descendants)
    }

    /// The generation of a device id.
    pub(in crate::service) fn device_generation(&self, id: &DeviceId) -> i64 {
        self.keys.generations.of(id)
    }

    /// Applies the generation that the deletion of a device began.
    pub(in crate::service) fn begin_device_generation(&self, id: &DeviceId, generation: i64) {
        self.keys.generations.begin(id, generation);
    }

    /// Devices for a grant that is made now.
    pub(in crate::service) fn granted(&self, ids: Vec<DeviceId>) -> Vec<GrantedDevice> {
        self.keys.generations.granted(ids)
    }

    /// The ids of the granted devices that are not deleted.
    pub(in crate::service) fn current(&self, granted: &[GrantedDevice]) -> Vec<DeviceId> {
        self.keys.generations.current(granted)
    }

    /// The ids of the keys whose last device was the deleted one.
    pub(in crate::service) fn keys_without_devices(&self, deleted: &DeviceId) -> Vec<String> {
        let generations = &self.keys.generations;
        let ended = generations.of(deleted) - 1;
        let has_lost = |key: &ApiKey| {
            let granted = key.devices.as_deref().unwrap_or_default();
            granted.iter().any(|device| device.id == *deleted && device.generation == ended)
                && generations.current(granted).is_empty()
        };
        let known = self.keys.hashed_keys();
        let mut ids: Vec<_> = known
            .values()
            .filter(|hashed| has_lost(&hashed.key))
            .map(|hashed| hashed.key.id.clone())
            .collect();
        drop(known);
        ids.sort_unstable();
        ids
    }

    /// Stores periodically when keys and dashboard sessions were last used.
    pub(in crate::service) fn start_key_bookkeeping(&self) {
        let access = self.clone();
        self.tasks.spawn("key-bookkeeping", async move {
            let soft = access.tasks.soft().clone();
            loop {
                let drained = tokio::time::timeout(BOOKKEEPING, soft.cancelled()).await.is_ok();
                access.write_down_uses().await;
                access.save_sessions().await;
                if drained {
                    break;
                }
            }
        });
    }

    async fn write_down_uses(&self) {
        let used: Vec<(String, Millis)> = {
            let mut used = self.keys.used.lock();
            used.drain().collect()
        };
        if used.is_empty() {
            return;
        }
        for (id, at) in &used {
            let mut known = self.keys.known.write();
            if let Some(hashed) = known.get_mut(id) {
                Arc::make_mut(hashed).key.last_used_at = Some(*at);
            }
        }
        if let Err(error) = self.store.write_patiently(move |tx| tx.touch_api_keys(&used)).await {
            tracing::warn!(%error, "last use of API keys not stored");
        }
    }
}

fn check(new: &NewKey, now: Millis) -> Result<(), ServiceError> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > 128 || name.chars().any(char::is_control) {
        return Err(ServiceError::invalid("name", "must have 1 to 128 characters and no control characters"));
    }
    if new.scopes.is_empty() {
        let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        return Err(ServiceError::invalid("scopes", format!("must hold at least one of {}", all.join(", "))));
    }
    if new.devices.as_ref().is_some_and(Vec::is_empty) {
        return Err(ServiceError::invalid(
            "devices",
            "must hold at least one device, or be left out for all",
        ));
    }
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(ServiceError::invalid(
            "expiresAt",
            "must be in the future, in milliseconds since the epoch",
        ));
    }
    Ok(())
}
