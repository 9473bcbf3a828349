//! A WhatsApp server with phones.

pub mod media;
pub mod world;
