//! Maps the settings of webhooks to their limits. Values were validated when the settings were loaded.

use crate::domain::webhook::RetrySchedule;
use crate::net::Guard;
use crate::service::WebhookLimits;
use crate::settings::Settings;

const DAY_MS: i64 = 86_400_000;

pub(super) fn limits(settings: &Settings) -> WebhookLimits {
    let webhooks = &settings.webhooks;
    WebhookLimits {
        max_endpoints: webhooks.max_endpoints,
        max_per_device: webhooks.max_per_device,
        max_tests: webhooks.max_tests,
        max_tests_per_device: webhooks.max_tests_per_device,
        max_tests_per_minute: webhooks.max_tests_per_minute,
        max_attempts_per_second: webhooks.max_attempts_per_second,
        timeout_ms: webhooks.timeout_ms,
        schedule: RetrySchedule(webhooks.retry_delays.clone()),
        max_in_flight: webhooks.max_in_flight,
        max_in_flight_per_endpoint: webhooks.max_in_flight_per_endpoint,
        disable_after_ms: i64::try_from(webhooks.disable_after_ms).unwrap_or(i64::MAX),
        max_waiting: webhooks.max_waiting,
        dead_letters_ms: i64::from(webhooks.dead_letters_days) * DAY_MS,
        attempts_ms: i64::from(webhooks.attempts_days) * DAY_MS,
        guard: Guard::new(&settings.net.allow_private),
        // Checked with the settings.
        proxy: settings.net.proxy.parse().ok(),
    }
}
