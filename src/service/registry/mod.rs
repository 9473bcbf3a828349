//! Which devices exist and how their networks respond. Values are in memory and rebuilt at start.

pub(super) mod liveness;
