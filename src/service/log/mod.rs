//! Log tails, cursors and pages of a device's event log. A cursor yields each entry after its start exactly once and in order.

pub(super) mod pages;
pub mod tail;
