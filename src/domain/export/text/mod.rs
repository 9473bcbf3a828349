//! The text format that phones export: `31/01/2026, 14:05 - Anna: Hello`; a body continues on unchanged
//! lines.
//!
//! Phones escape nothing, so a body line in the form of a header is read as a new message. Wharf encloses
//! such a line in an invisible mark ([`marks`]) and removes the mark when reading. A file is read twice:
//! first for the order of day and month ([`OrderVote`]), then for its messages.

mod date_order;
mod header;
mod parser;
pub mod placeholders;
mod writer;

pub use date_order::{DateOrder, OrderVote};
pub use parser::{Extra, Parser, TextEntry, TextError};
pub use writer::{Line, Writer, author_label};

#[cfg(test)]
mod tests;
