//! How long after sending a message can be changed for everyone. Phones ignore later changes, so they are
//! refused before they are sent.

use super::clock::Millis;

const MINUTE_MS: i64 = 60_000;
/// A message can be edited for this long after it was sent, in milliseconds.
const EDIT_MS: i64 = 15 * MINUTE_MS;
/// A message can be revoked for everyone for this long after it was sent, in milliseconds.
const REVOKE_MS: i64 = 60 * 60 * MINUTE_MS;

/// Whether a message sent at `sent` can still be edited.
#[must_use]
pub fn can_edit(sent: Millis, now: Millis) -> bool {
    now.since(sent) <= EDIT_MS
}

/// Whether a message sent at `sent` can still be revoked for everyone.
#[must_use]
pub fn can_revoke(sent: Millis, now: Millis) -> bool {
    now.since(sent) <= REVOKE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Millis = Millis(1_700_000_000_000);

    #[test]
    fn edit_is_possible_for_15_minutes() {
        assert!(can_edit(SENT, SENT.plus(900_000)));
        assert!(!can_edit(SENT, SENT.plus(900_001)));
    }

    #[test]
    fn revocation_is_possible_for_60_hours() {
        assert!(can_revoke(SENT, SENT.plus(216_000_000)));
        assert!(!can_revoke(SENT, SENT.plus(216_000_001)));
    }

    #[test]
    fn clock_set_back_does_not_end_window() {
        assert!(can_edit(SENT, SENT.plus(-86_400_000)) && can_revoke(SENT, SENT.plus(-86_400_000)));
    }
}
