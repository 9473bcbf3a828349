//! Traffic across kills: workers continue with the next daemon where the last one died.
//!
//! A worker runs until its connection breaks. It repeats each unanswered request with the same key or network
//! id, so exactly one result may exist at the end.

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
    /// The daemon was killed.
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
    /// One request, or one connection that is followed to its end.
    fn next_step<'a>(&'a mut self, http: &'a Http) -> BoxFuture<'a, Result<(), Halt>>;

    /// The pause after each step.
    fn pause(&self) -> Duration {
        Duration::ZERO
    }

    /// Runs until the daemon was killed or gives a wrong answer.
    fn run<'a>(&'a mut self, http: &'a Http) -> BoxFuture<'a, Halt> {
        Box::pin(async move {
            loop {
                if let Err(halt) = self.next_step(http).await {
                    return halt;
                }
                tokio::time::sleep(self.pause()).await;
            }
        })
    }
}

/// The status of a daemon that is temporarily overloaded; the client retries.
const BUSY: u16 = 503;
const PAUSE_WHEN_BUSY: Duration = Duration::from_millis(20);
