//! Web Push: messages to browsers that asked for them, by way of their makers' push services (RFC 8030). What is sent
//! is encrypted for the browser (RFC 8291), and signed by us (RFC 8292): the service in between sees neither text nor
//! sender's name.

mod key;
mod target;

use std::sync::Arc;
use std::time::Duration;

pub use self::key::VapidKey;
pub use self::target::PushTarget;
use super::EffectError;
use crate::domain::clock::Clock;
use crate::net::{Answer, GuardedClient, Post};

/// The longest that a push service may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// As push services have it.
const MAX_TTL_S: u32 = 28 * 24 * 3_600;

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

/// Sends pushes. Clones are the same.
#[derive(Clone)]
pub struct Push {
    client: GuardedClient,
    clock: Arc<dyn Clock>,
    key: VapidKey,
    contact: String,
}

impl Push {
    /// Bytes of the longest payload: what is left of the 4,096 that every push service takes.
    pub const MAX_PAYLOAD: usize = 3_993;

    /// Sends with `client`, signed with `key`; `contact` (`mailto:…`, `https://…`, or empty) tells push services whom
    /// to write to.
    #[must_use]
    pub fn new(client: GuardedClient, clock: Arc<dyn Clock>, key: VapidKey, contact: String) -> Self {
        Self { client, clock, key, contact }
    }

    /// What browsers subscribe with.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.key.public_key()
    }

    /// Whether a subscription can be used: its address may be reached, as far as that shows, and its keys are keys.
    ///
    /// # Errors
    /// [`EffectError::Invalid`] or [`EffectError::Net`].
    pub fn check(&self, target: &PushTarget) -> Result<(), EffectError> {
        target.check_scheme()?;
        self.client.check_url(&target.endpoint)?;
        target.keys().map(|_| ())
    }

    /// Encrypts and sends a payload that may wait `ttl_s` seconds for the browser.
    ///
    /// # Errors
    /// [`EffectError::Invalid`] for keys that are none or a payload that is too long; [`EffectError::Net`].
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
