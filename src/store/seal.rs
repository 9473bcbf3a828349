//! The vault's encryption at rest: XChaCha20-Poly1305 with a key that is not in the database.
//!
//! Each value starts with a random 24-byte nonce, long enough for any number of values, followed by the
//! ciphertext. Device, space and key are authenticated, so that a value cannot be moved to another row.
//! Values written before a key was configured are read as they are and sealed at their next write.

use std::fmt;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::StoreError;
use crate::domain::clock::Random;

const NONCE: usize = 24;
const PROOF: &[u8] = b"the key of this vault";

/// A key for the vault, with the randomness for its nonces. Never shown.
#[derive(Clone)]
pub struct VaultKey {
    cipher: XChaCha20Poly1305,
    random: Arc<dyn Random>,
}

impl VaultKey {
    /// Creates the key from its 32 bytes.
    #[must_use]
    pub fn new(key: &[u8; 32], random: Arc<dyn Random>) -> Self {
        Self { cipher: XChaCha20Poly1305::new(&(*key).into()), random }
    }

    fn seal(&self, place: SealContext<'_>, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0_u8; NONCE];
        self.random.fill(&mut nonce);
        let payload = Payload { msg: value, aad: &place.bytes() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| UNREADABLE)?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn open(&self, place: SealContext<'_>, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>().ok_or(UNREADABLE)?;
        let payload = Payload { msg: sealed, aad: &place.bytes() };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| UNREADABLE)
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultKey")
    }
}

const UNREADABLE: StoreError = StoreError::Unreadable("value of the vault");

/// Location of a value, authenticated with its ciphertext.
#[derive(Clone, Copy)]
pub(super) struct SealContext<'a> {
    pub(super) device: &'a str,
    pub(super) space: &'a str,
    pub(super) key: &'a str,
}

impl SealContext<'_> {
    /// Starts with the lengths, so that no two locations have the same bytes.
    fn bytes(self) -> Vec<u8> {
        let parts = [self.device, self.space, self.key];
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// Seals and opens values; without a key it stores them in plain form.
#[derive(Debug, Default)]
pub(super) struct Seal(Option<VaultKey>);

/// Why the vault cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locked {
    Missing,
    Wrong,
}

impl Seal {
    pub(super) fn new(key: Option<VaultKey>) -> Self {
        Self(key)
    }

    /// Checks that this is the key used before, if any. The first key stores its proof.
    pub(super) fn check(&self, connection: &Connection) -> Result<Result<(), Locked>, StoreError> {
        let place = SealContext { device: "", space: "", key: "proof" };
        let stored = connection.query_row("SELECT proof FROM vault_seal", [], |row| row.get(0)).optional()?;
        let proof: Option<Vec<u8>> = stored;
        match (&self.0, proof) {
            (None, None) => Ok(Ok(())),
            (None, Some(_)) => Ok(Err(Locked::Missing)),
            (Some(key), Some(proof)) => {
                let opened = key.open(place, &proof).is_ok_and(|text| text == PROOF);
                Ok(if opened { Ok(()) } else { Err(Locked::Wrong) })
            }
            (Some(key), None) => {
                let proof = key.seal(place, PROOF)?;
                connection.execute("INSERT INTO vault_seal (id, proof) VALUES (1, ?1)", params![proof])?;
                Ok(Ok(()))
            }
        }
    }

    /// The stored form of a value, and whether it is sealed.
    pub(super) fn close(
        &self,
        place: SealContext<'_>,
        value: Vec<u8>,
    ) -> Result<(Vec<u8>, bool), StoreError> {
        match &self.0 {
            Some(key) => Ok((key.seal(place, &value)?, true)),
            None => Ok((value, false)),
        }
    }

    /// The plain form of a stored value.
    pub(super) fn open(
        &self,
        place: SealContext<'_>,
        sealed: bool,
        value: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        match (&self.0, sealed) {
            (_, false) => Ok(value),
            (Some(key), true) => key.open(place, &value),
            (None, true) => Err(UNREADABLE),
        }
    }
}
