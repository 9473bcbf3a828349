//! A WhatsApp server with phones.
