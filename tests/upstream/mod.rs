//! Upstream servers for tests, written from their published contracts: real HTTP on loopback, in the process of the
//! test. Behind each stands a [`world`].

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod world;
