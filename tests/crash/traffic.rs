//! Traffic that survives the daemon: workers that go on with the next process where the last one died.
//!
//! A worker runs until its connection breaks. What was under way then may have happened or not: it is asked
//! again under the same key or network id, so that exactly one of it may be found in the end.

mod faults;
mod listener;
mod sender;
mod writer;

pub use faults::{Mischief, Restless};
pub use listener::Listener;
pub use sender::{Sender, Text};
pub use writer::Writer;

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::process::Http;

/// How a worker's run ended.
pub enum Halt {
    /// The daemon is gone.
    Gone,
    /// The daemon said something that it must not say.
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

/// Something that works until the daemon is gone.
pub trait Worker: Send {
    /// Works until the daemon is gone, or says something wrong.
    fn run<'a>(&'a mut self, http: &'a Http) -> BoxFuture<'a, Halt>;
}

/// What a daemon may answer when it cannot take something now, and the client is to come again.
const BUSY: u16 = 503;
const PAUSE_WHEN_BUSY: Duration = Duration::from_millis(20);
