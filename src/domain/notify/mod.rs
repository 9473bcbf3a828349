//! Notifications: what is told to people.

mod priority;

pub use priority::Priority;
