//! The wire format: `framing` splits a WebSocket's bytes into frames, `noise` performs the handshake,
//! `connection` reads and writes encrypted nodes.

pub mod connection;
pub mod framing;
pub mod nodes;
pub mod noise;
