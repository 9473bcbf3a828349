//! Groups: `group_store` stores them, `view` writes them as nodes, and `requests` answers `w:g2`.
//!
//! A group that a scan describes, or that has only one account's people, belongs to that account: two
//! accounts may have groups of the same id. A group that an account creates while the testbed runs is shared
//! by its members.

mod group_store;
mod requests;
mod view;

pub use group_store::{GroupError, GroupStore};
pub use requests::answer;
pub use view::{GroupEvent, GroupView, notify_members};
