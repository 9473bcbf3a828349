//! Groups: `book` keeps them, `view` writes them as nodes, and `asked` answers `w:g2`.
//!
//! The groups that a scan describes, and those that only one account's people are in, belong to that account:
//! two accounts may have groups of the same id. A group that an account makes while the testbed runs is one
//! group for all who are in it.

mod asked;
mod book;
mod view;

pub use asked::answer;
pub use book::{Found, Groups};
pub use view::{Happened, View, tell_all};
