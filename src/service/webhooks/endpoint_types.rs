//! Types with which the API and CLI create, change and show webhook endpoints. Only [`CreatedWebhook`] and
//! [`RotatedWebhook`] contain secrets.

use std::collections::BTreeMap;

use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::webhook::{Endpoint, Format, Ordering, Subscription};

/// A webhook to create.
#[derive(Debug, Clone, Default)]
pub struct NewWebhook {
    /// The device whose events are delivered; all devices if absent.
    pub device: Option<DeviceId>,
    /// Display name.
    pub name: String,
    /// The receiver's URL.
    pub url: String,
    /// The events to deliver.
    pub subscription: Subscription,
    /// Format of bodies.
    pub format: Format,
    /// Order of deliveries.
    pub ordering: Ordering,
    /// Additional request headers.
    pub headers: BTreeMap<String, String>,
    /// Signing secret; generated if absent.
    pub secret: Option<String>,
    /// Timeout of an attempt; the configured default if absent.
    pub timeout_ms: Option<u32>,
    /// Certificates that are trusted instead of the system's, as PEM.
    pub custom_ca: Option<String>,
    /// Whether it is disabled initially.
    pub disabled: bool,
    /// Its name in the device file that declares it.
    pub declared: Option<String>,
}

/// A change to a webhook. Absent fields stay unchanged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WebhookChange {
    /// Display name.
    pub name: Option<String>,
    /// The receiver's URL. The masked URL of an answer leaves it unchanged.
    pub url: Option<String>,
    /// Names of events to deliver.
    pub events: Option<Vec<String>>,
    /// Names of events to leave out.
    pub exclude: Option<Vec<String>>,
    /// Format of bodies.
    pub format: Option<Format>,
    /// Order of deliveries.
    pub ordering: Option<Ordering>,
    /// All additional request headers; a masked value leaves that header unchanged.
    pub headers: Option<BTreeMap<String, String>>,
    /// Timeout of an attempt; `Some(None)` restores the configured default.
    pub timeout_ms: Option<Option<u32>>,
    /// Trusted certificates; `Some(None)` restores the system's.
    pub custom_ca: Option<Option<String>>,
    /// Whether events are delivered. Enabling also clears the failure state.
    pub enabled: Option<bool>,
}

impl WebhookChange {
    /// Whether the change only enables or disables the webhook.
    pub(super) fn only_switches(&self) -> bool {
        let rest = Self { enabled: None, ..self.clone() };
        self.enabled.is_some() && rest == Self::default()
    }
}

/// A created webhook, with the only copy of its secret.
#[derive(Debug)]
pub struct CreatedWebhook {
    /// The endpoint.
    pub status: WebhookStatus,
    /// The signing secret.
    pub secret: String,
}

/// A webhook after its secret was rotated.
#[derive(Debug)]
pub struct RotatedWebhook {
    /// The new secret.
    pub secret: String,
    /// Time until which the previous secret signs too.
    pub previous_until: Millis,
}

/// A webhook with the counts of its deliveries.
#[derive(Debug, Clone)]
pub struct WebhookStatus {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Number of waiting deliveries.
    pub waiting: i64,
    /// Number of dead letters.
    pub dead: i64,
    /// Time until which a previous secret signs too.
    pub previous_until: Option<Millis>,
}
