//! Sounds through a loudspeaker.

use std::path::PathBuf;

use super::{Availability, EffectError};

/// How sounds are played.
#[derive(Debug, Clone)]
pub struct SpeakerConfig {
    /// Whether any are.
    pub enabled: bool,
    /// The sound server's name of an output; its default one, when absent.
    pub device: Option<String>,
    /// 0 is silent, 1 as it is in the file.
    pub volume: f32,
    /// Files that are played by their name, before those of the binary.
    pub sounds_dir: Option<PathBuf>,
    /// Sounds at once.
    pub max_at_once: usize,
    /// Milliseconds until the same sound is played again.
    pub pause_ms: u64,
    /// Milliseconds after which a sound is cut.
    pub max_ms: u64,
}

/// What was played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Played {
    /// Milliseconds of sound.
    pub ms: u64,
}

/// The loudspeaker. Clones are the same.
#[derive(Debug, Clone)]
pub struct Speaker(());

impl Speaker {
    /// Connects nothing yet.
    #[must_use]
    pub fn new(_config: SpeakerConfig) -> Self {
        Self(())
    }

    /// Whether sounds can be played now. At most 2 s.
    pub async fn probe(&self) -> Availability {
        Availability::Off("not built yet".to_owned())
    }

    /// Plays a sound to its end: one of the binary (such as `message`), or a file of the user's directory, with or
    /// without its extension. `volume` is on top of the configured one.
    ///
    /// # Errors
    /// [`EffectError::Off`], [`EffectError::Busy`] (so many at once, or the same sound again too soon),
    /// [`EffectError::NoSound`], [`EffectError::BadSound`], [`EffectError::Timeout`] or [`EffectError::Failed`].
    pub async fn play(&self, _name: &str, _volume: f32) -> Result<Played, EffectError> {
        Err(EffectError::Off("not built yet".to_owned()))
    }
}
