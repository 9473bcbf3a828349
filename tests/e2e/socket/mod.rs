//! The device namespace at packet level: `protocol` covers Engine.IO and Socket.IO, `hostile` malformed
//! packets, `dialect` events and requests, `tokens` authentication.

mod anonymous;
mod dialect;
mod hostile;
mod protocol;
mod tokens;
