//! What reaches people outside of a dashboard: desktop notifications, sounds, commands and web push. Doing, not
//! deciding: what is told to whom, and when, is the caller's.
//!
//! Invariants: nothing here holds a caller up for longer than its limit, whatever a bus, a sound server, a command or a
//! push service does; nothing is queued without a bound; nothing writes to standard error; no text is interpreted by
//! what shows it.

mod availability_log;
pub mod command;
pub mod desktop;
pub mod push;
mod sanitize;
pub mod sound;
pub mod sounds;

/// Whether an effect can be had here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    On,
    /// It cannot; one sentence says why.
    Off(String),
}

/// Why an effect did not happen. No text holds what was to be shown, played or sent.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// It cannot be had here, or is switched off; one sentence says why.
    #[error("{0}")]
    Off(String),
    /// As many as are allowed are under way; this one was dropped.
    #[error("too many at once")]
    Busy,
    /// The other side did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// There is no sound of this name.
    #[error("there is no sound {0:?}")]
    NoSound(String),
    /// The file is not a sound that can be played.
    #[error("the sound {0:?} cannot be played: it must be WAV, OGG, FLAC or MP3, of at most 10 MB")]
    BadSound(String),
    /// The command could not be started.
    #[error("{program} cannot be started: {source}")]
    Start {
        /// What was to be started, without its arguments.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// What was asked for cannot be done by anybody.
    #[error("{0}")]
    Invalid(String),
    /// A request to a push service had no answer.
    #[error("the push service did not answer")]
    Net(#[from] crate::net::NetError),
    /// The other side refused, or failed.
    #[error("{0}")]
    Failed(String),
}
