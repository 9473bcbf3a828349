//! A chat as a file: the text format that phones export ([`text`]) and a JSON document ([`document`]).
//!
//! Pure: lines and values in, lines and values out; who reads and stores them is elsewhere. Invariants: what
//! [`text::Writer`] writes, [`text::Parser`] reads back with the same author, minute and body, whatever the
//! body holds; the JSON document holds all that is known of each message.

pub mod document;
pub mod file_names;
pub mod limits;
pub mod text;
pub mod time_zone;
