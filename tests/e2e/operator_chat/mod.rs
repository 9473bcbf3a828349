//! Operator chat in the `root` dialect, over raw Socket.IO packets and REST: `peers` has peer-addressed
//! events, `conversations` conversation-addressed ones, `access` tokens and outsiders, `rest` the calls,
//! `inbox` conversations with contacts of a device.

mod access;
mod client;
mod conversations;
mod inbox;
mod peers;
mod rest;

use super::support;
