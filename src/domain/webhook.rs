//! Webhooks: where events are pushed to, which of them, in whose words, and when again after a failure.
//!
//! - This file says what an endpoint is.
//! - [`facts`] is what matters of an event, [`names`] what each format calls it, [`subscription`] which events an
//!   endpoint wants, [`retry`] when a delivery is tried again.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::ids::DeviceId;
use super::slug::made_id;

pub mod delivery;
pub mod event_names;
pub mod filter_input;
pub mod retry_schedule;
pub mod subscription;

pub use delivery::{DeadLetter, DeliveryKey, WebhookAttempt};
pub use filter_input::FilterInput;
pub use retry_schedule::{InvalidSpan, RetryDelay, RetrySchedule};
pub use subscription::{Subscription, SubscriptionError};

made_id! {
    /// Names one endpoint for ever: 1–64 characters of `A-Za-z0-9_-`.
    EndpointId = "wh_";
    /// Why a text is no endpoint id.
    EndpointIdError = "a webhook id has 1 to 64 characters of A-Z, a-z, 0-9, _ and -";
}

/// For how long a secret that was replaced signs too, where nothing is said: a day.
pub const SECRET_OVERLAP_MS: i64 = 86_400_000;
/// How many secrets that were replaced may still sign.
const MAX_PREVIOUS: usize = 2;

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
    pub fn lane(self, device: &DeviceId, facts: &FilterInput<'_>) -> Option<String> {
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
    /// What tells the file's declaration from another one; absent where no file declares it.
    #[serde(default)]
    pub declaration: Option<String>,
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
    /// Puts another secret in place of the one there is, which signs too until then.
    pub fn replace_secret(&mut self, secret: String, now: Millis, until: Millis) {
        let old = std::mem::replace(&mut self.secret, secret);
        let current = &self.secret;
        self.previous.retain(|known| known.until > now && known.secret != *current && known.secret != old);
        if old != *current {
            self.previous.insert(0, OldSecret { secret: old, until });
        }
        self.previous.truncate(MAX_PREVIOUS);
    }

    /// The secrets that sign at this moment, the newest first.
    pub fn signing(&self, now: Millis) -> impl Iterator<Item = &str> {
        let old = self.previous.iter().filter(move |old| old.until > now);
        std::iter::once(self.secret.as_str()).chain(old.map(|old| old.secret.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_secret_still_signs_for_a_period() {
        let mut secrets = EndpointSecrets {
            url: String::new(),
            headers: BTreeMap::new(),
            secret: "first".to_owned(),
            previous: Vec::new(),
            declaration: None,
        };
        let signing = |secrets: &EndpointSecrets, now| -> Vec<String> {
            secrets.signing(Millis(now)).map(str::to_owned).collect()
        };
        secrets.replace_secret("second".to_owned(), Millis(0), Millis(10));
        secrets.replace_secret("second".to_owned(), Millis(1), Millis(11));
        assert_eq!(signing(&secrets, 5), ["second", "first"]);
        assert_eq!(signing(&secrets, 10), ["second"]);
        secrets.replace_secret("first".to_owned(), Millis(2), Millis(12));
        assert_eq!(signing(&secrets, 5), ["first", "second"]);
    }
}
