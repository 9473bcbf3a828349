//! Groups: `group_store` keeps them, `view` writes them as nodes, and `requests` answers `w:g2`.
//!
//! The groups that a scan describes, and those that only one account's people are in, belong to that account:
//! two accounts may have groups of the same id. A group that an account makes while the testbed runs is one
//! group for all who are in it.

mod group_store;
mod requests;
mod view;

pub use group_store::{GroupError, GroupStore};
pub use requests::answer;
pub use view::{GroupEvent, GroupView, notify_members};
