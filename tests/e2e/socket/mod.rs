//! The device namespace, packet by packet: `protocol` what Engine.IO and Socket.IO prescribe, `hostile` what
//! they do not foresee, `dialect` what devices say, `tokens` who is behind a socket.

mod dialect;
mod hostile;
mod protocol;
mod tokens;
