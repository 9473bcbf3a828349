//! Counts what the clients of one device cause in a minute, such as bytes of files or tests of webhooks. A minute begins
//! with the first of them.

use super::clock::Millis;

const WINDOW_MS: i64 = 60_000;

/// The count of the current minute.
#[derive(Debug, Clone, Copy, Default)]
pub struct MinuteWindow {
    since: Millis,
    count: u64,
}

impl MinuteWindow {
    /// Adds to the count.
    pub fn add(&mut self, count: u64, now: Millis) {
        if self.has_ended(now) {
            *self = Self { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(count);
    }

    /// Whether the minute is over, or the clock was set back.
    #[must_use]
    pub fn has_ended(&self, now: Millis) -> bool {
        !(0..WINDOW_MS).contains(&now.since(self.since))
    }

    /// Seconds until a further one is accepted; `None` if it is accepted now.
    #[must_use]
    pub fn wait_seconds(&self, limit: u64, now: Millis) -> Option<u64> {
        if self.count < limit || self.has_ended(now) {
            return None;
        }
        let left_ms = WINDOW_MS - now.since(self.since);
        Some(u64::try_from(left_ms).unwrap_or(0).div_ceil(1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_minute_refuses_until_its_end() {
        let mut window = MinuteWindow::default();
        let start = Millis(1_000_000);
        assert_eq!(window.wait_seconds(10, start), None);
        window.add(6, start);
        assert_eq!(window.wait_seconds(10, start.plus(1)), None);
        window.add(4, start.plus(500));
        assert_eq!(window.wait_seconds(10, start.plus(500)), Some(60));
        assert_eq!(window.wait_seconds(10, start.plus(59_999)), Some(1));
        assert_eq!(window.wait_seconds(10, start.plus(60_000)), None);
    }

    #[test]
    fn clock_set_back_begins_a_new_minute() {
        let mut window = MinuteWindow::default();
        window.add(10, Millis(1_000_000));
        assert_eq!(window.wait_seconds(10, Millis(900_000)), None);
        window.add(1, Millis(900_000));
        assert_eq!(window.wait_seconds(10, Millis(900_001)), None);
    }
}
