//! The values with which surfaces create, change and show webhook endpoints. Secrets leave in [`CreatedWebhook`] and
//! [`RotatedWebhook`] only.

use std::collections::BTreeMap;

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::{Endpoint, Format, Ordering, Subscription};

/// A webhook to be made.
#[derive(Debug, Clone, Default)]
pub struct NewWebhook {
    /// The device of its events; all devices if absent.
    pub device: Option<DeviceId>,
    /// What people call it.
    pub name: String,
    /// Where to.
    pub url: String,
    /// Which events; all, when absent.
    pub subscription: Subscription,
    /// In whose words.
    pub format: Format,
    /// In which order.
    pub ordering: Ordering,
    /// Headers that it gets besides.
    pub headers: BTreeMap<String, String>,
    /// What signs; made here, when absent.
    pub secret: Option<String>,
    /// How long a try may take.
    pub timeout_ms: Option<u32>,
    /// The only certificates that its server may stand on, as PEM.
    pub custom_ca: Option<String>,
    /// Whether it is off at first.
    pub disabled: bool,
    /// The name under which a file declares it.
    pub declared: Option<String>,
}

/// A change to a webhook. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WebhookChange {
    /// What people call it.
    pub name: Option<String>,
    /// Where to. As it is shown means as it is.
    pub url: Option<String>,
    /// Which events.
    pub events: Option<Vec<String>>,
    /// What of them is left out.
    pub exclude: Option<Vec<String>>,
    /// In whose words.
    pub format: Option<Format>,
    /// In which order.
    pub ordering: Option<Ordering>,
    /// All headers that it gets besides; one with a masked value stays as it is.
    pub headers: Option<BTreeMap<String, String>>,
    /// How long a try may take; `None` within for as the settings say.
    pub timeout_ms: Option<Option<u32>>,
    /// Certificates; `None` within for the system's.
    pub custom_ca: Option<Option<String>>,
    /// Whether it gets anything. Switching it on also ends what its failures did.
    pub enabled: Option<bool>,
}

impl WebhookChange {
    /// Whether it is for switching the webhook on or off, and nothing else.
    pub(super) fn only_switches(&self) -> bool {
        let rest = Self { enabled: None, ..self.clone() };
        self.enabled.is_some() && rest == Self::default()
    }
}

/// A webhook that was made, with the only copy of its secret.
#[derive(Debug)]
pub struct CreatedWebhook {
    /// The endpoint.
    pub status: WebhookStatus,
    /// What signs.
    pub secret: String,
}

/// A webhook whose secret was replaced.
#[derive(Debug)]
pub struct RotatedWebhook {
    /// The new secret.
    pub secret: String,
    /// Until when the old one signs too.
    pub previous_until: Millis,
}

/// A webhook, and what waits for it.
#[derive(Debug, Clone)]
pub struct WebhookStatus {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Deliveries that wait.
    pub waiting: i64,
    /// Dead letters.
    pub dead: i64,
    /// Until when an older secret signs too.
    pub previous_until: Option<Millis>,
}
