//! A WhatsApp server with phones.

pub mod phone;
