//! The device namespace at packet level: `protocol` covers Engine.IO and Socket.IO, `hostile` malformed
//! packets, `dialect` events and requests, `fan_out` live events to many sockets, `tokens` authentication.

mod anonymous;
mod dialect;
mod fan_out;
mod hostile;
mod protocol;
mod tokens;
