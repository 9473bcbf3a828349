//! Webhooks: where events are pushed to, which of them, in whose words, and when again after a failure.
//!
//! - This file says what an endpoint is.
//! - [`facts`] is what matters of an event, [`names`] what each format calls it, [`subscription`] which events an
//!   endpoint wants, [`retry`] when a delivery is tried again.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::clock::{Millis, Random};
use super::ids::DeviceId;

pub mod facts;
pub mod names;
pub mod retry;
pub mod subscription;

pub use facts::Facts;
pub use retry::{InvalidSpan, Schedule, Span};
pub use subscription::{Subscription, SubscriptionError};

/// Names one endpoint for ever: 1–64 characters of `A-Za-z0-9_-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EndpointId(String);

/// Why a text is no endpoint id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a webhook id has 1 to 64 characters of A-Z, a-z, 0-9, _ and -")]
pub struct EndpointIdError;

impl EndpointId {
    /// `wh_` and 80 random bits.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = [0_u8; 10];
        random.fill(&mut bytes);
        Self(format!("wh_{}", hex::encode(bytes)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EndpointId {
    type Err = EndpointIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
            return Err(EndpointIdError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for EndpointId {
    type Error = EndpointIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<EndpointId> for String {
    fn from(id: EndpointId) -> Self {
        id.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In whose words events are pushed, and with which headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Our own.
    #[default]
    Wharf,
    /// As a WAHA server does.
    Waha,
    /// As REST back ends on whatsapp-web.js do.
    Wwebjs,
}

impl Format {
    /// All formats, with their words on the wire.
    pub const ALL: [(&str, Self); 3] =
        [("wharf", Self::Wharf), ("waha", Self::Waha), ("wwebjs", Self::Wwebjs)];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wharf => "wharf",
            Self::Waha => "waha",
            Self::Wwebjs => "wwebjs",
        }
    }
}

/// What a delivery waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ordering {
    /// For all earlier ones of its device.
    #[default]
    Device,
    /// For the earlier ones of its chat.
    Chat,
    /// For nothing.
    None,
}

impl Ordering {
    /// All orderings, with their words on the wire.
    pub const ALL: [(&str, Self); 3] = [("device", Self::Device), ("chat", Self::Chat), ("none", Self::None)];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Chat => "chat",
            Self::None => "none",
        }
    }

    /// What is delivered one after the other; `None`: this one waits for nothing.
    #[must_use]
    pub fn lane(self, device: &DeviceId, facts: &Facts<'_>) -> Option<String> {
        match self {
            Self::Device => Some(device.to_string()),
            Self::Chat => Some(format!("{device} {}", facts.chat.as_deref().unwrap_or_default())),
            Self::None => None,
        }
    }
}

/// Why an endpoint gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// Somebody switched it off.
    Operator,
    /// It answered 410.
    Gone,
    /// Nothing reached it for days.
    Failing,
}

/// Where events are pushed to, without what is secret of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose events it gets; those of all devices, when absent.
    pub device: Option<DeviceId>,
    /// The name under which the device's file declares it.
    pub declared: Option<String>,
    /// What people call it; may be empty.
    pub name: String,
    /// Where to, with the values of its query masked.
    pub url: String,
    /// Which events.
    pub subscription: Subscription,
    /// In whose words.
    pub format: Format,
    /// In which order.
    pub ordering: Ordering,
    /// The headers that it gets besides.
    pub header_names: Vec<String>,
    /// How long a try may take, where it is not as the settings say.
    pub timeout_ms: Option<u32>,
    /// The only certificates that its server may stand on, as PEM; the system's, when absent.
    pub custom_ca: Option<String>,
    /// Why it gets nothing, and since when; absent while it does.
    pub disabled: Option<(DisabledReason, Millis)>,
    /// Since when nothing has reached it, although something should have.
    pub failing_since: Option<Millis>,
    /// When something last did not reach it.
    pub failed_at: Option<Millis>,
    /// When something last reached it, to within a minute.
    pub delivered_at: Option<Millis>,
    /// When it was made.
    pub created_at: Millis,
}

impl Endpoint {
    /// Whether it gets events.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.disabled.is_none()
    }
}

/// What nobody is shown of an endpoint.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSecrets {
    /// Where to, with what its query may hold.
    pub url: String,
    /// Headers that it gets besides.
    pub headers: BTreeMap<String, String>,
    /// What signs.
    pub secret: String,
    /// What signed before, while it still does; newest first.
    #[serde(default)]
    pub previous: Vec<OldSecret>,
}

/// A secret that was replaced.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldSecret {
    /// It.
    pub secret: String,
    /// Until when it signs too.
    pub until: Millis,
}

/// Shows nothing of it.
impl fmt::Debug for EndpointSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointSecrets(…)")
    }
}

impl fmt::Debug for OldSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OldSecret").field("until", &self.until).finish_non_exhaustive()
    }
}

impl EndpointSecrets {
    /// The secrets that sign at this moment, the newest first.
    pub fn signing(&self, now: Millis) -> impl Iterator<Item = &str> {
        let old = self.previous.iter().filter(move |old| old.until > now);
        std::iter::once(self.secret.as_str()).chain(old.map(|old| old.secret.as_str()))
    }
}
