//! The native engine: WhatsApp's multi-device protocol, through the crate `whatsapp-rust`.

pub mod storage;
