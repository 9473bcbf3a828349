//! Effects outside of dashboards: desktop notifications, sounds, commands and web push. This module runs
//! actions; its callers decide when and for whom.
//!
//! Invariants: every call has a time limit, independent of buses, sound servers, commands and push services;
//! every queue is bounded; nothing is written to standard error; displayed text is never interpreted.

mod availability_log;
pub mod command;
pub mod desktop;
pub mod push;
mod sanitize;
pub mod sound;
pub mod sounds;

/// Whether an effect is available on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// The effect is available.
    On,
    /// Unavailable; the sentence gives the reason.
    Off(String),
}

/// Why an effect failed. Error texts never contain displayed, played or sent content.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// The effect is unavailable or disabled; the sentence gives the reason.
    #[error("{0}")]
    Off(String),
    /// The concurrency limit is reached; the request was dropped.
    #[error("too many at once")]
    Busy,
    /// The time limit was exceeded.
    #[error("no answer in time")]
    Timeout,
    /// There is no sound with this name.
    #[error("there is no sound {0:?}")]
    NoSound(String),
    /// The file is not a playable sound.
    #[error("the sound {0:?} cannot be played: it must be WAV, OGG, FLAC or MP3, of at most 10 MB")]
    BadSound(String),
    /// The command could not be started.
    #[error("{program} cannot be started: {source}")]
    Start {
        /// The program, without its arguments.
        program: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The request is invalid.
    #[error("{0}")]
    Invalid(String),
    /// The request to a push service failed.
    #[error("the push service did not answer")]
    Net(#[from] crate::net::NetError),
    /// The other side refused the request or failed.
    #[error("{0}")]
    Failed(String),
}
