//! Traffic across kills: workers continue with the next daemon where the last one died.
//!
//! A worker runs until its connection breaks. It repeats each unanswered request with the same key or network id, so
//! exactly one result may exist at the end.

mod faults;
mod listener;
mod sender;
mod writer;

pub use faults::{NetworkFaults, UnstableDevice};
pub use listener::Listener;
pub use sender::{Sender, Text};
pub use writer::Writer;

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::process::Http;

/// Why a worker stopped.
pub enum Halt {
    /// The daemon is gone.
    Gone,
    /// The daemon gave a wrong answer.
    Wrong(String),
}

impl From<reqwest::Error> for Halt {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Wrong(format!("a request was not answered: {error:?}"));
        }
        Self::Gone
    }
}

/// A source of traffic.
pub trait Worker: Send {
    /// Runs until the daemon is gone or gives a wrong answer.
    fn run<'a>(&'a mut self, http: &'a Http) -> BoxFuture<'a, Halt>;
}

/// The status of a daemon that is temporarily overloaded; the client retries.
const BUSY: u16 = 503;
const PAUSE_WHEN_BUSY: Duration = Duration::from_millis(20);
