//! Operator chat: users, conversations, messages, receipts, presence and typing, as pure rules.
//!
//! Invariants: one visibility function decides every access; a receipt never goes back; a note is no message to send.

pub mod app_event;
pub mod assignment;
pub mod chat_session;
pub mod conversation;
pub mod conversation_event;
pub mod dialect;
pub mod event;
pub mod file;
pub mod ids;
pub mod inbox;
pub mod log_offset;
pub mod message;
pub mod note;
pub mod notification;
pub mod presence;
pub mod receipts;
pub mod response_times;
pub mod room;
pub mod send_dedup;
pub mod send_rate;
pub mod session_cookie;
pub mod slash_commands;
pub mod typing;
pub mod uploads;
pub mod user;
pub mod visibility;
