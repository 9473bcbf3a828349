//! Retention sweeps and polled metrics. A sweep works in bounded batches.

pub(super) mod metrics_poll;
pub(super) mod retention;
