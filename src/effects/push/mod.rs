//! Web Push: messages to browsers that asked for them, by way of their makers' push services.

use std::sync::Arc;

use url::Url;

use super::EffectError;
use crate::domain::clock::{Clock, Random};
use crate::net::GuardedClient;

/// Who signs pushes (VAPID): a P-256 key pair.
#[derive(Clone)]
pub struct VapidKey(());

impl VapidKey {
    /// A new one.
    ///
    /// # Errors
    /// [`EffectError::Invalid`] when the randomness makes no key, which chance does not do.
    pub fn generate(_random: &dyn Random) -> Result<Self, EffectError> {
        Ok(Self(()))
    }

    /// One from [`VapidKey::to_bytes`].
    ///
    /// # Errors
    /// [`EffectError::Invalid`] when these are not the 32 bytes of a key.
    pub fn from_bytes(_bytes: &[u8]) -> Result<Self, EffectError> {
        Ok(Self(()))
    }

    /// The secret, to be kept.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        [0; 32]
    }

    /// What browsers subscribe with (`applicationServerKey`): 65 bytes in base64url without padding.
    #[must_use]
    pub fn public_key(&self) -> String {
        String::new()
    }
}

/// Where a browser is reached.
#[derive(Clone)]
pub struct PushTarget {
    /// The address at its push service; whoever has it can push.
    pub endpoint: Url,
    /// The browser's public key: 65 bytes in base64url.
    pub p256dh: String,
    /// The browser's secret: 16 bytes in base64url.
    pub auth: String,
}

/// How soon a push should arrive (RFC 8030).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// On power and Wi-Fi.
    VeryLow,
    /// On either.
    Low,
    /// On neither.
    Normal,
    /// Also on a low battery.
    High,
}

/// How a push service took a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// It will deliver it.
    Delivered,
    /// The subscription is gone and should be forgotten.
    Gone,
    /// It wants it later: after so many seconds, if it says so.
    Later(Option<u64>),
    /// It refused with this status.
    Refused(u16),
}

/// Sends pushes. Clones are the same.
#[derive(Clone)]
pub struct Push(());

impl Push {
    /// Bytes of the longest payload.
    pub const MAX_PAYLOAD: usize = 3_993;

    /// Sends with `client`, signed with `key`; `contact` (`mailto:…` or `https://…`) tells push services whom to write to.
    #[must_use]
    pub fn new(_client: GuardedClient, _clock: Arc<dyn Clock>, _key: VapidKey, _contact: String) -> Self {
        Self(())
    }

    /// Whether a subscription can be used: its address may be reached, as far as that shows, and its keys are keys.
    ///
    /// # Errors
    /// [`EffectError::Invalid`] or [`EffectError::Net`].
    pub fn check(&self, _target: &PushTarget) -> Result<(), EffectError> {
        Ok(())
    }

    /// Encrypts and sends a payload that may wait `ttl_s` seconds for the browser.
    ///
    /// # Errors
    /// [`EffectError::Invalid`] for keys that are none or a payload that is too long; [`EffectError::Net`].
    pub async fn send(
        &self,
        _target: &PushTarget,
        _payload: &[u8],
        _urgency: Urgency,
        _ttl_s: u32,
    ) -> Result<PushOutcome, EffectError> {
        Err(EffectError::Off("not built yet".to_owned()))
    }
}
