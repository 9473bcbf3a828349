//! End-to-end tests over real HTTP and Socket.IO, with the daemon in the test's own process. Every test has
//! its own daemon, data directory and port.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[macro_use]
#[path = "../process/skip.rs"]
mod skip;
mod support;
#[path = "../upstream/mod.rs"]
mod upstream;

mod acks;
mod calls;
mod chat_changes;
mod chats;
mod cloud_api;
mod connections;
mod contacts;
mod dashboard;
mod declared;
mod devices;
mod errors;
mod events;
mod examples;
mod export;
mod groups;
mod health;
mod history;
mod key_streams;
mod keys;
mod log_identity;
mod media;
mod messages;
mod notify;
mod operator_chat;
mod outbox;
mod pairing;
mod passkey;
mod probes;
mod qr;
mod queue;
mod reading;
mod remote;
mod restart;
mod rich;
mod snapshots;
mod socket;
mod typing;
mod vault;
mod waha;
mod webhooks;
#[cfg(feature = "testbed")]
mod whatsapp;
