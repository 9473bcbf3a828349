//! Web Push: sends messages to subscribed browsers through their vendors' push services (RFC 8030). Payloads
//! are encrypted for the browser (RFC 8291) and signed (RFC 8292), so the service sees no content.

mod key;
mod target;

use std::sync::Arc;
use std::time::Duration;

pub use self::key::VapidKey;
pub use self::target::PushTarget;
use super::EffectError;
use crate::domain::clock::Clock;
use crate::net::{Answer, GuardedClient, Post};

/// Time limit of a request to a push service.
const PATIENCE: Duration = Duration::from_secs(10);
/// Limit of push services.
const MAX_TTL_S: u32 = 28 * 24 * 3_600;

/// Urgency of a push (RFC 8030).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Only on power and Wi-Fi.
    VeryLow,
    /// On power or Wi-Fi.
    Low,
    /// Without power and Wi-Fi too.
    Normal,
    /// Even on a low battery.
    High,
}

impl Urgency {
    fn as_str(self) -> &'static str {
        match self {
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// Response of a push service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// The service accepted the push.
    Delivered,
    /// The subscription expired and should be deleted.
    Gone,
    /// The service is busy; holds its `Retry-After` in seconds, if present.
    Later(Option<u64>),
    /// The service rejected the push with this status.
    Refused(u16),
}

impl PushOutcome {
    fn of(answer: &Answer) -> Self {
        match answer.status {
            200..=299 => Self::Delivered,
            404 | 410 => Self::Gone,
            429 | 500..=599 => {
                Self::Later(answer.retry_after.as_deref().and_then(|it| it.trim().parse().ok()))
            }
            status => Self::Refused(status),
        }
    }
}

/// Sends pushes. Clones share the client and the key.
#[derive(Clone)]
pub struct Push {
    client: GuardedClient,
    clock: Arc<dyn Clock>,
    key: VapidKey,
    contact: String,
}

impl Push {
    /// Limit of a payload in bytes: the 4,096 that every push service accepts, minus the encryption overhead.
    pub const MAX_PAYLOAD: usize = 3_993;

    /// Sends with `client` and signs with `key`. `contact` (`mailto:…`, `https://…`, or empty) is the address
    /// for operators of push services.
    #[must_use]
    pub fn new(client: GuardedClient, clock: Arc<dyn Clock>, key: VapidKey, contact: String) -> Self {
        Self { client, clock, key, contact }
    }

    /// The public key that browsers need to subscribe.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.key.public_key()
    }

    /// Checks a subscription: the endpoint must be allowed and the keys valid.
    ///
    /// # Errors
    /// [`EffectError::Invalid`] or [`EffectError::Net`].
    pub fn check(&self, target: &PushTarget) -> Result<(), EffectError> {
        target.check_scheme()?;
        self.client.check_url(&target.endpoint)?;
        target.keys().map(|_| ())
    }

    /// Encrypts and sends a payload, which the service keeps up to `ttl_s` seconds for an offline browser.
    ///
    /// # Errors
    /// [`EffectError::Invalid`] for invalid keys or a payload that is too long; [`EffectError::Net`].
    pub async fn send(
        &self,
        target: &PushTarget,
        payload: &[u8],
        urgency: Urgency,
        ttl_s: u32,
    ) -> Result<PushOutcome, EffectError> {
        if payload.len() > Self::MAX_PAYLOAD {
            let most = Self::MAX_PAYLOAD;
            return Err(EffectError::Invalid(format!("a push has at most {most} bytes")));
        }
        target.check_scheme()?;
        let body = target.encrypt(payload)?;
        let authorization = self.key.authorization(&target.endpoint, &self.contact, self.clock.now());
        let headers = [
            ("authorization", authorization),
            ("content-encoding", "aes128gcm".to_owned()),
            ("ttl", ttl_s.min(MAX_TTL_S).to_string()),
            ("urgency", urgency.as_str().to_owned()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let content_type = "application/octet-stream";
        let post = Post { content_type, headers, body, timeout: PATIENCE };
        Ok(PushOutcome::of(&self.client.post(&target.endpoint, post).await?))
    }
}

#[cfg(test)]
mod tests;
