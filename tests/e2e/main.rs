//! The daemon as its users meet it: over real HTTP, in one process with the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;
#[path = "../upstream/mod.rs"]
mod upstream;

mod acks;
mod calls;
mod chat_changes;
mod chats;
mod cloud_api;
mod contacts;
mod declared;
mod devices;
mod errors;
mod events;
mod examples;
mod export;
mod groups;
mod health;
mod history;
mod keys;
mod media;
mod messages;
mod notify;
mod outbox;
mod pairing;
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
