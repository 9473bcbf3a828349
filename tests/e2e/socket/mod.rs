//! The device namespace, packet by packet: `protocol` what Engine.IO and Socket.IO prescribe, `hostile` what
//! they do not foresee, `dialect` what devices say.

mod dialect;
mod hostile;
mod protocol;
