//! Domain types and rules, without IO, without tokio and without a clock.
//!
//! Invariants: no function here blocks, logs, reads the clock or generates random numbers; callers pass time
//! and randomness as parameters. Invalid input and invalid transitions are an `Err`, never a panic.

pub mod access;
pub mod ack;
pub mod backoff;
pub mod change_window;
pub mod chat;

pub mod clock;
pub mod contact;
pub mod content;
pub mod dashboard_session;
pub mod device;
pub mod engine_name;
pub mod event;
pub mod export;
pub mod failure;
pub mod file_name;
pub mod group;
pub mod health;
pub mod identity;
pub mod ids;
pub mod ip_block;
pub mod jid;
pub mod log_throttle;
pub mod media;
pub mod message;
pub mod minute_window;
pub mod notify;
pub mod operator_chat;
pub mod origin;
pub mod outbox;
pub mod passkey;
pub mod queries;
pub mod reason;
pub mod secret_settings;
pub mod slug;
pub mod state;
pub mod suggestion;
pub mod vault;
pub mod webhook;
