//! Measures one stretch of work: processor time of server and load, and of other programs meanwhile.

use std::time::Duration;

use bench_load::kernel::{Process, busy_cpu};
use tokio::time::Instant;

use crate::server::Server;

/// A running measurement.
pub struct Meter<'a> {
    server: &'a Server,
    began: Instant,
    server_cpu: Duration,
    own_cpu: Duration,
    busy: Duration,
}

/// The result.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    pub elapsed: Duration,
    pub server: Duration,
    pub load: Duration,
    pub others: Duration,
}

impl<'a> Meter<'a> {
    pub fn start(server: &'a Server) -> Self {
        let (server_cpu, own_cpu) = (server.process.cpu(), Process::own().cpu());
        Self { server, began: Instant::now(), server_cpu, own_cpu, busy: busy_cpu() }
    }

    pub fn stop(&self) -> Use {
        let server = self.server.process.cpu().saturating_sub(self.server_cpu);
        let load = Process::own().cpu().saturating_sub(self.own_cpu);
        let others = busy_cpu().saturating_sub(self.busy).saturating_sub(server + load);
        Use { elapsed: self.began.elapsed(), server, load, others }
    }
}

impl Use {
    /// Microseconds of the server's processor for each unit.
    pub fn per_unit(&self, units: u64) -> f64 {
        self.server.as_secs_f64() * 1e6 / units as f64
    }

    /// Units in a second.
    pub fn rate(&self, units: u64) -> f64 {
        units as f64 / self.elapsed.as_secs_f64()
    }

    /// The load's share of its processor, in percent.
    pub fn load_percent(&self) -> f64 {
        100.0 * self.load.as_secs_f64() / self.elapsed.as_secs_f64()
    }

    /// The processor time of other programs, in percent of one processor.
    pub fn others_percent(&self) -> f64 {
        100.0 * self.others.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}
