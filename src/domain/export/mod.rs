//! A chat as a file: the text format that phones export ([`text`]) and a JSON document ([`document`]).
//!
//! Pure functions on lines and values; the service reads and stores them. Invariants: [`text::Parser`] reads
//! back what [`text::Writer`] writes, with the same author, minute and body, for any body. The JSON document
//! contains all stored data of each message.

pub mod document;
pub mod file_names;
pub mod limits;
pub mod text;
pub mod time_zone;
