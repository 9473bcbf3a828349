//! Webhook endpoints: their configuration, their secrets and their delivery order. Secrets never appear in
//! debug output.
//!
//! - [`filter_input`] has the fields of an event that filters use.
//! - [`event_names`] has the event names of each format.
//! - [`subscription`] selects the events of an endpoint.
//! - [`retry_schedule`] has the delays between attempts.

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
    /// The permanent id of an endpoint: 1–64 characters of `A-Za-z0-9_-`.
    EndpointId = "wh_";
    /// The text is not an endpoint id.
    EndpointIdError = "a webhook id has 1 to 64 characters of A-Z, a-z, 0-9, _ and -";
}

/// Default time for which a replaced secret still signs, in milliseconds: one day.
pub const SECRET_OVERLAP_MS: i64 = 86_400_000;
/// Maximum number of replaced secrets that still sign.
const MAX_PREVIOUS: usize = 2;

/// The event names, payload format and headers of an endpoint's deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Wharf's own format.
    #[default]
    Wharf,
    /// The format of a WAHA server.
    Waha,
    /// The format of REST back ends on whatsapp-web.js.
    Wwebjs,
}

impl Format {
    /// All formats with their names on the wire.
    pub const ALL: [(&str, Self); 3] =
        [("wharf", Self::Wharf), ("waha", Self::Waha), ("wwebjs", Self::Wwebjs)];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wharf => "wharf",
            Self::Waha => "waha",
            Self::Wwebjs => "wwebjs",
        }
    }
}

/// Which earlier deliveries a delivery waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ordering {
    /// All earlier deliveries of the same device.
    #[default]
    Device,
    /// Earlier deliveries of the same chat.
    Chat,
    /// No other delivery.
    None,
}

impl Ordering {
    /// All orderings with their names on the wire.
    pub const ALL: [(&str, Self); 3] = [("device", Self::Device), ("chat", Self::Chat), ("none", Self::None)];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Chat => "chat",
            Self::None => "none",
        }
    }

    /// The key of deliveries that are sent one after the other; `None` when the order does not matter.
    #[must_use]
    pub fn lane(self, device: &DeviceId, facts: &FilterInput<'_>) -> Option<String> {
        match self {
            Self::Device => Some(device.to_string()),
            Self::Chat => Some(format!("{device} {}", facts.chat.as_deref().unwrap_or_default())),
            Self::None => None,
        }
    }
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisabledReason {
    /// An operator disabled the endpoint.
    Operator,
    /// The endpoint responded with status 410.
    Gone,
    /// Deliveries failed for days.
    Failing,
}

/// A webhook endpoint, without its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The endpoint's id.
    pub id: EndpointId,
    /// The device whose events are delivered; all devices when absent.
    pub device: Option<DeviceId>,
    /// The name under which the device's file declares it.
    pub declared: Option<String>,
    /// The display name; may be empty.
    pub name: String,
    /// The target URL, with masked query values.
    pub url: String,
    /// The subscribed events.
    pub subscription: Subscription,
    /// The format of deliveries.
    pub format: Format,
    /// The ordering of deliveries.
    pub ordering: Ordering,
    /// The names of additional request headers; their values are secret.
    pub header_names: Vec<String>,
    /// The timeout of an attempt in milliseconds; absent for the configured default.
    pub timeout_ms: Option<u32>,
    /// The only trusted certificate authorities, as PEM; absent for the authorities of the system.
    pub custom_ca: Option<String>,
    /// Why and since when the endpoint is disabled; absent while it is enabled.
    pub disabled: Option<(DisabledReason, Millis)>,
    /// When the current series of failed deliveries began; absent after a success.
    pub failing_since: Option<Millis>,
    /// When a delivery last failed.
    pub failed_at: Option<Millis>,
    /// When a delivery last succeeded, accurate to one minute.
    pub delivered_at: Option<Millis>,
    /// When the endpoint was created.
    pub created_at: Millis,
}

impl Endpoint {
    /// Whether the endpoint is enabled.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.disabled.is_none()
    }
}

/// The parts of an endpoint that no response or log contains.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSecrets {
    /// The complete target URL.
    pub url: String,
    /// Additional request headers with their values.
    pub headers: BTreeMap<String, String>,
    /// The current signing secret.
    pub secret: String,
    /// Replaced secrets that still sign, newest first.
    #[serde(default)]
    pub previous: Vec<OldSecret>,
    /// Fingerprint of the declaration in the device's file; absent for an endpoint without a declaration.
    #[serde(default)]
    pub declaration: Option<String>,
}

/// A replaced signing secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldSecret {
    /// The secret.
    pub secret: String,
    /// When the secret stops signing.
    pub until: Millis,
}

/// Prints no field, because every field can be secret.
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
    /// Replaces the signing secret. The old secret also signs until `until`.
    pub fn replace_secret(&mut self, secret: String, now: Millis, until: Millis) {
        let old = std::mem::replace(&mut self.secret, secret);
        let current = &self.secret;
        self.previous.retain(|entry| entry.until > now && entry.secret != *current && entry.secret != old);
        if old != *current {
            self.previous.insert(0, OldSecret { secret: old, until });
        }
        self.previous.truncate(MAX_PREVIOUS);
    }

    /// The secrets that sign at `now`, newest first.
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
