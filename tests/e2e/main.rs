//! The daemon as its users meet it: over real HTTP, in one process with the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

mod acks;
mod chats;
mod declared;
mod devices;
mod errors;
mod events;
mod examples;
mod export;
mod health;
mod keys;
mod messages;
mod outbox;
mod probes;
mod qr;
mod queue;
mod restart;
mod rich;
mod snapshots;
mod socket;
