//! The test clock: runs like the system clock and can be moved by hand. It never sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use wharf::app::SystemClock;
use wharf::domain::clock::{Clock, Millis};

#[derive(Clone, Default)]
pub struct TestClock {
    ahead: Arc<AtomicI64>,
}

impl TestClock {
    pub fn advance(&self, ms: i64) {
        self.ahead.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        SystemClock.now().plus(self.ahead.load(Ordering::SeqCst))
    }
}
