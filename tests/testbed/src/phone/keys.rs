//! Generates keys and signatures.

use anyhow::Result;
use rand::RngExt as _;
use rand::rngs::StdRng;
use wacore_libsignal::protocol::{KeyPair, PublicKey};

/// Signal's largest registration id.
const GREATEST_REGISTRATION_ID: u32 = 16_380;

/// A random number generator that is suitable for keys.
#[must_use]
pub fn random() -> StdRng {
    rand::make_rng()
}

/// A new key pair.
#[must_use]
pub fn pair() -> KeyPair {
    KeyPair::generate(&mut random())
}

/// The 32 bytes of the public half.
#[must_use]
pub fn public(pair: &KeyPair) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(pair.public_key.public_key_bytes());
    key
}

/// Random bytes.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    random().fill(&mut bytes);
    bytes
}

/// A registration id in the phones' range.
#[must_use]
pub fn registration_id() -> u32 {
    random().random_range(1..=GREATEST_REGISTRATION_ID)
}

/// The XEdDSA signature of a message.
///
/// # Errors
/// If the key cannot sign.
pub fn sign(by: &KeyPair, message: &[u8]) -> Result<Vec<u8>> {
    Ok(by.private_key.calculate_signature(message, &mut random())?.to_vec())
}

/// Whether this public key's owner signed the message.
#[must_use]
pub fn signed_by(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    PublicKey::from_djb_public_key_bytes(key).is_ok_and(|key| key.verify_signature(message, signature))
}
