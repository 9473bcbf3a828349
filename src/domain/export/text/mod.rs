//! The text format that phones export: `31/01/2026, 14:05 - Anna: Hello`, further lines of a body as they are.
//!
//! Phones escape nothing, so that a body's line which looks like the beginning of a message becomes one. Here
//! such a line is written with a mark around it that nobody sees ([`marks`]), and read without it.
//! A file is read twice: first for the order of day and month ([`OrderVote`]), then for its messages.

mod date_order;
mod header;
mod parser;
pub mod placeholders;
mod writer;

pub use date_order::{DateOrder, OrderVote};
pub use parser::{Entry, Extra, Parser, TextError};
pub use writer::{Line, Writer, author_label};

#[cfg(test)]
mod tests;
