//! What is on the wire: frames, the noise handshake, and the encrypted stream of nodes.
//!
//! `framing` cuts the bytes of a WebSocket into frames, `noise` agrees the keys, `connection` reads
//! and writes nodes with them.

pub mod connection;
pub mod framing;
pub mod nodes;
pub mod noise;
