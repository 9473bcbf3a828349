//! A WhatsApp server with phones.

pub mod media;
pub mod phone;
pub mod scene;
pub mod server;
