//! Delivers events to webhooks.
//!
//! - The transaction of an event also writes its deliveries (`store::webhook_deliveries`); this module sends them.
//! - [`manage`] has the use cases of endpoints, [`validate`] their rules, [`declared`] the endpoints of device files.
//! - [`dispatcher`] starts a [`runner`] for each endpoint with waiting deliveries; [`attempt`] is one attempt,
//!   [`classify`] its outcome, [`record_result`] the transaction after it; [`body`] and [`signing`] make the request.
//! - [`backlog`] changes all waiting deliveries of an endpoint; [`replay`] delivers again, [`housekeeping`] prunes.
//!
//! Invariants: a delivery is removed from the store only after a 2xx; a failing or slow receiver has capacity of its own
//! and never uses that of another; no log line, metric or answer contains secrets, headers, bodies or queries.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use url::Url;

use super::registry::Registry;
use crate::domain::clock::{Clock, Random};
use crate::domain::webhook::RetrySchedule;
use crate::lifecycle::Tasks;
use crate::net::{Guard, GuardedClient, Route};
use crate::store::Store;
use crate::store::webhook_endpoints::EndpointKey;
use crate::telemetry::Metrics;

mod attempt;
mod backlog;
mod body;
mod classify;
pub mod declared;
mod dispatcher;
mod endpoint_types;
mod housekeeping;
mod manage;
mod record_result;
mod replay;
mod runner;
mod signing;
mod test_permits;
mod validate;

pub use attempt::TestReport;
pub use endpoint_types::{CreatedWebhook, NewWebhook, RotatedWebhook, WebhookChange, WebhookStatus};
pub use replay::{DeadLetters, Replay};

/// Capacity for failing and slow receivers, as a multiple of the regular capacity.
const SLOW_ROOM: usize = 4;
/// Maximum cached HTTP clients with custom certificates.
const MAX_CLIENTS: usize = 64;

/// Limits and settings of webhooks. Durations are in milliseconds.
#[derive(Debug, Clone)]
pub struct WebhookLimits {
    /// Maximum webhooks.
    pub max_endpoints: usize,
    /// Maximum webhooks per device.
    pub max_per_device: usize,
    /// Maximum concurrent tests.
    pub max_tests: usize,
    /// Maximum concurrent tests of one device's webhooks.
    pub max_tests_per_device: usize,
    /// Maximum tests of one device's webhooks in a minute.
    pub max_tests_per_minute: u64,
    /// Maximum recorded attempts per second and webhook.
    pub max_attempts_per_second: usize,
    /// Default timeout of an attempt.
    pub timeout_ms: u64,
    /// Delays between attempts.
    pub schedule: RetrySchedule,
    /// Maximum concurrent attempts.
    pub max_in_flight: usize,
    /// Maximum concurrent attempts per webhook.
    pub max_in_flight_per_endpoint: usize,
    /// Time without success after which a failing webhook is disabled.
    pub disable_after_ms: i64,
    /// Maximum waiting deliveries per webhook.
    pub max_waiting: usize,
    /// Retention of dead letters; 0 keeps them for ever.
    pub dead_letters_ms: i64,
    /// Retention of attempts; 0 keeps them for ever.
    pub attempts_ms: i64,
    /// Allowed destinations.
    pub guard: Guard,
    /// HTTP proxy, if any.
    pub proxy: Option<Url>,
}

/// Webhook endpoints, their deliveries and dead letters.
#[derive(Clone)]
pub struct Webhooks {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    tasks: Tasks,
    metrics: Metrics,
    registry: Arc<Registry>,
    state: Arc<WebhookState>,
}

impl Webhooks {
    pub(super) fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        tasks: Tasks,
        metrics: Metrics,
        registry: Arc<Registry>,
        limits: WebhookLimits,
    ) -> Self {
        Self { store, clock, random, tasks, metrics, registry, state: Arc::new(WebhookState::new(limits)) }
    }
}

/// Limits, permits and HTTP clients that all runners share.
pub(super) struct WebhookState {
    limits: WebhookLimits,
    /// Permits for healthy receivers.
    room: Arc<Semaphore>,
    /// Permits for failing receivers and slow attempts.
    slow_room: Arc<Semaphore>,
    tests: Arc<test_permits::WebhookTests>,
    runners: Mutex<HashMap<EndpointKey, Arc<runner::Wake>>>,
    client: GuardedClient,
    /// Clients by their custom certificates.
    clients: Mutex<BTreeMap<String, GuardedClient>>,
}

impl WebhookState {
    pub(super) fn new(limits: WebhookLimits) -> Self {
        let client = client(&limits, None);
        Self {
            room: Arc::new(Semaphore::new(limits.max_in_flight)),
            slow_room: Arc::new(Semaphore::new(limits.max_in_flight.saturating_mul(SLOW_ROOM))),
            tests: test_permits::WebhookTests::new(&limits),
            runners: Mutex::default(),
            client,
            clients: Mutex::default(),
            limits,
        }
    }

    /// Returns the HTTP client for the given certificates; receivers with equal certificates share
    /// connections.
    fn client(&self, custom_ca: Option<&str>) -> GuardedClient {
        let Some(pem) = custom_ca else { return self.client.clone() };
        let mut clients = self.clients.lock();
        if let Some(known) = clients.get(pem) {
            return known.clone();
        }
        if clients.len() >= MAX_CLIENTS {
            clients.pop_first();
        }
        let made = client(&self.limits, Some(pem.to_owned()));
        clients.insert(pem.to_owned(), made.clone());
        made
    }
}

/// Upper bound of a request; each attempt sets a shorter timeout.
const LONGEST_REQUEST: Duration = Duration::from_secs(600);

fn client(limits: &WebhookLimits, custom_ca: Option<String>) -> GuardedClient {
    let route = Route { custom_ca, proxy: limits.proxy.clone() };
    GuardedClient::routed(limits.guard.clone(), LONGEST_REQUEST, route)
}
