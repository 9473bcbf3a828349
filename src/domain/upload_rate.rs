//! Counts the bytes of files that the clients of one device send in a minute. A minute begins with its first byte.

use super::clock::Millis;

const WINDOW_MS: i64 = 60_000;

/// The bytes of the current minute.
#[derive(Debug, Clone, Copy, Default)]
pub struct UploadWindow {
    since: Millis,
    bytes: u64,
}

impl UploadWindow {
    /// Counts received bytes.
    pub fn add(&mut self, bytes: u64, now: Millis) {
        if self.has_ended(now) {
            *self = Self { since: now, bytes: 0 };
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Whether the minute is over, or the clock was set back.
    #[must_use]
    pub fn has_ended(&self, now: Millis) -> bool {
        !(0..WINDOW_MS).contains(&now.since(self.since))
    }

    /// Seconds until a further file is accepted; `None` if it is accepted now.
    #[must_use]
    pub fn wait_seconds(&self, limit: u64, now: Millis) -> Option<u64> {
        if self.bytes < limit || self.has_ended(now) {
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
        let mut window = UploadWindow::default();
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
        let mut window = UploadWindow::default();
        window.add(10, Millis(1_000_000));
        assert_eq!(window.wait_seconds(10, Millis(900_000)), None);
        window.add(1, Millis(900_000));
        assert_eq!(window.wait_seconds(10, Millis(900_001)), None);
    }
}
