//! A phone's Signal stores, in memory; each call returns at once.

use std::collections::HashMap;

use async_trait::async_trait;
use wacore_libsignal::protocol::{
    Direction, IdentityChange, IdentityKey, IdentityKeyPair, IdentityKeyStore, PreKeyId, PreKeyRecord,
    PreKeyStore, ProtocolAddress, SenderKeyName, SenderKeyRecord, SenderKeyStore, SessionRecord,
    SessionStore, SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore,
};

type Result<T> = std::result::Result<T, SignalProtocolError>;

/// The phone's own keys, and the identities of others.
pub(super) struct Identities {
    pub(super) own: IdentityKeyPair,
    pub(super) registration: u32,
    seen: HashMap<ProtocolAddress, IdentityKey>,
}

impl Identities {
    pub(super) fn new(own: IdentityKeyPair, registration: u32) -> Self {
        Self { own, registration, seen: HashMap::new() }
    }
}

/// The phone's sessions with other devices.
#[derive(Default)]
pub(super) struct Sessions(HashMap<ProtocolAddress, SessionRecord>);

impl Sessions {
    pub(super) fn has(&self, address: &ProtocolAddress) -> bool {
        self.0.contains_key(address)
    }

    pub(super) fn drop_one(&mut self, address: &ProtocolAddress) {
        self.0.remove(address);
    }
}

/// The phone's unused one-time keys.
#[derive(Default)]
pub(super) struct OneTimeKeys(HashMap<PreKeyId, PreKeyRecord>);

impl OneTimeKeys {
    pub(super) fn put(&mut self, id: PreKeyId, record: PreKeyRecord) {
        self.0.insert(id, record);
    }

    pub(super) fn spend(&mut self, id: PreKeyId) {
        self.0.remove(&id);
    }
}

/// The phone's signed prekey.
pub(super) struct SignedKey(pub(super) SignedPreKeyRecord);

/// Sender-key chains: the phone's own and received ones.
#[derive(Default)]
pub(super) struct Chains(HashMap<SenderKeyName, SenderKeyRecord>);

#[async_trait]
impl IdentityKeyStore for Identities {
    async fn get_identity_key_pair(&self) -> Result<IdentityKeyPair> {
        Ok(self.own.clone())
    }

    async fn get_local_registration_id(&self) -> Result<u32> {
        Ok(self.registration)
    }

    async fn save_identity(
        &mut self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> Result<IdentityChange> {
        let before = self.seen.insert(address.clone(), *identity);
        Ok(IdentityChange::from_changed(before.is_some_and(|before| before != *identity)))
    }

    /// Phones accept a new identity, as after linking again.
    async fn is_trusted_identity(&self, _: &ProtocolAddress, _: &IdentityKey, _: Direction) -> Result<bool> {
        Ok(true)
    }

    async fn get_identity(&self, address: &ProtocolAddress) -> Result<Option<IdentityKey>> {
        Ok(self.seen.get(address).copied())
    }
}

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, address: &ProtocolAddress) -> Result<Option<SessionRecord>> {
        Ok(self.0.get(address).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> Result<bool> {
        Ok(self.has(address))
    }

    async fn store_session(&mut self, address: &ProtocolAddress, record: SessionRecord) -> Result<()> {
        self.0.insert(address.clone(), record);
        Ok(())
    }
}

#[async_trait]
impl PreKeyStore for OneTimeKeys {
    async fn get_pre_key(&self, id: PreKeyId) -> Result<PreKeyRecord> {
        self.0.get(&id).cloned().ok_or(SignalProtocolError::InvalidPreKeyId)
    }

    async fn save_pre_key(&mut self, id: PreKeyId, record: &PreKeyRecord) -> Result<()> {
        self.put(id, record.clone());
        Ok(())
    }

    async fn remove_pre_key(&mut self, id: PreKeyId) -> Result<()> {
        self.spend(id);
        Ok(())
    }
}

#[async_trait]
impl SignedPreKeyStore for SignedKey {
    async fn get_signed_pre_key(&self, _: SignedPreKeyId) -> Result<SignedPreKeyRecord> {
        Ok(self.0.clone())
    }

    async fn save_signed_pre_key(&mut self, _: SignedPreKeyId, record: &SignedPreKeyRecord) -> Result<()> {
        self.0 = record.clone();
        Ok(())
    }
}

#[async_trait]
impl SenderKeyStore for Chains {
    async fn store_sender_key(&mut self, name: &SenderKeyName, record: SenderKeyRecord) -> Result<()> {
        self.0.insert(name.clone(), record);
        Ok(())
    }

    async fn load_sender_key(&self, name: &SenderKeyName) -> Result<Option<SenderKeyRecord>> {
        Ok(self.0.get(name).cloned())
    }
}
