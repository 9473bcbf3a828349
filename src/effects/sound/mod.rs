//! Plays sounds: the library finds a file, `decode` converts it to samples, and `pulse` sends them to the
//! sound server. The server mixes concurrent sounds; no system library is needed.
//!
//! Each sound connects anew, so that a server started later is used. After a timeout, calls fail immediately
//! for a pause.

#[cfg(feature = "alsa")]
mod alsa;
mod cooldown;
mod decode;
mod pulse;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::cooldown::Cooldown;
use self::decode::Samples;
use super::availability_log::AvailabilityLog;
use super::sounds::library;
use super::{Availability, EffectError};

/// Pause after the server did not answer.
const REST: Duration = Duration::from_secs(15);
const SILENT: &str = "the sound server does not answer";
const SWITCHED_OFF: &str = "effects.sound.enabled is false";

/// Settings of sounds.
#[derive(Debug, Clone)]
pub struct SpeakerConfig {
    /// Whether sounds are enabled.
    pub enabled: bool,
    /// Name of an output of the sound server; the default output, when absent.
    pub device: Option<String>,
    /// Volume factor: 0 is silent, 1 is the original volume.
    pub volume: f32,
    /// Directory of custom sounds, which take precedence over built-in ones.
    pub sounds_dir: Option<PathBuf>,
    /// Limit of concurrent sounds.
    pub max_at_once: usize,
    /// Minimum interval in milliseconds before the same sound plays again.
    pub pause_ms: u64,
    /// Limit of a sound's length in milliseconds.
    pub max_ms: u64,
}

/// The result of playing a sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Played {
    /// Length in milliseconds.
    pub ms: u64,
}

/// The loudspeaker executor. Clones share its state.
#[derive(Debug, Clone)]
pub struct Speaker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: SpeakerConfig,
    places: Semaphore,
    calm: Mutex<Cooldown>,
    rests_until: Mutex<Option<Instant>>,
    announced: AvailabilityLog,
}

/// Whether this session's sound server has an output (the default one, when absent).
pub async fn probe(device: Option<&str>) -> Availability {
    let found = match pulse::probe(device).await {
        Ok(()) => return Availability::On,
        Err(EffectError::Timeout) => Availability::Off(SILENT.to_owned()),
        Err(error) => Availability::Off(error.to_string()),
    };
    #[cfg(feature = "alsa")]
    if device.is_none() && alsa::look().await {
        return Availability::On;
    }
    found
}

impl Speaker {
    /// Creates the executor without connecting.
    #[must_use]
    pub fn new(config: SpeakerConfig) -> Self {
        Self(Arc::new(Inner {
            places: Semaphore::new(config.max_at_once),
            config,
            calm: Mutex::default(),
            rests_until: Mutex::default(),
            announced: AvailabilityLog::new("sounds"),
        }))
    }

    /// Whether sounds can be played now. At most 6 s.
    pub async fn probe(&self) -> Availability {
        if !self.0.config.enabled {
            return Availability::Off(SWITCHED_OFF.to_owned());
        }
        let found = probe(self.0.config.device.as_deref()).await;
        self.0.announced.note(&found);
        found
    }

    /// Plays a sound to its end: a built-in one (such as `message`) or a file of the user's directory, with
    /// or without its extension. `volume` is multiplied by the configured volume.
    ///
    /// # Errors
    /// [`EffectError::Off`], [`EffectError::Busy`] (too many sounds, or the same sound within the interval),
    /// [`EffectError::NoSound`], [`EffectError::BadSound`], [`EffectError::Timeout`] or
    /// [`EffectError::Failed`].
    pub async fn play(&self, name: &str, volume: f32) -> Result<Played, EffectError> {
        let inner = &*self.0;
        if !inner.config.enabled {
            return Err(EffectError::Off(SWITCHED_OFF.to_owned()));
        }
        let _place = inner.places.try_acquire().map_err(|_| EffectError::Busy)?;
        if locked(&inner.rests_until).is_some_and(|until| Instant::now() < until) {
            return Err(EffectError::Off(SILENT.to_owned()));
        }
        let pause = Duration::from_millis(inner.config.pause_ms);
        if !locked(&inner.calm).admit(name, Instant::now(), pause) {
            return Err(EffectError::Busy);
        }
        let samples = self.samples(name, inner.config.volume * volume).await?;
        let ms = samples.ms();
        let played = output(samples, inner.config.device.as_deref()).await;
        self.take_note(&played);
        played.map(|()| Played { ms })
    }

    /// Reads and decodes on a blocking thread. A panic of the decoder counts as an invalid file.
    async fn samples(&self, name: &str, volume: f32) -> Result<Samples, EffectError> {
        let bad = EffectError::BadSound(name.to_owned());
        let (name, dir, max_ms) = (name.to_owned(), self.0.config.sounds_dir.clone(), self.0.config.max_ms);
        let volume = if volume.is_finite() { volume.max(0.0) } else { 0.0 };
        let decoded = tokio::task::spawn_blocking(move || {
            library::find(&name, dir.as_deref()).map(|sound| decode::decode(sound, volume, max_ms))
        });
        match decoded.await {
            Ok(Ok(Some(samples))) => Ok(samples),
            Ok(Err(error)) => Err(error),
            Ok(Ok(None)) | Err(_) => Err(bad),
        }
    }

    fn take_note(&self, played: &Result<(), EffectError>) {
        match played {
            Ok(()) => self.0.announced.note(&Availability::On),
            Err(EffectError::Timeout) => {
                *locked(&self.0.rests_until) = Some(Instant::now() + REST);
                self.0.announced.record_unavailable(SILENT);
            }
            Err(error) => self.0.announced.record_unavailable(&error.to_string()),
        }
    }
}

async fn output(samples: Samples, device: Option<&str>) -> Result<(), EffectError> {
    #[cfg(feature = "alsa")]
    if device.is_none() && pulse::probe(None).await.is_err() {
        return alsa::play(samples).await;
    }
    pulse::play(samples, device).await
}

fn locked<T>(mutex: &Mutex<T>) -> parking_lot::MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speaker(enabled: bool, max_at_once: usize) -> Speaker {
        Speaker::new(SpeakerConfig {
            enabled,
            device: None,
            volume: 1.0,
            sounds_dir: None,
            max_at_once,
            pause_ms: 60_000,
            max_ms: 1000,
        })
    }

    #[tokio::test]
    async fn disabled_sound_does_not_connect() {
        let speaker = speaker(false, 1);
        assert_eq!(speaker.probe().await, Availability::Off(SWITCHED_OFF.to_owned()));
        assert!(matches!(speaker.play("message", 1.0).await, Err(EffectError::Off(_))));
    }

    #[tokio::test]
    async fn sounds_above_limit_are_dropped() {
        assert!(matches!(speaker(true, 0).play("message", 1.0).await, Err(EffectError::Busy)));
    }

    #[tokio::test]
    async fn repeated_sound_waits_for_cooldown() {
        let speaker = speaker(true, 1);
        assert!(matches!(speaker.play("no such", 1.0).await, Err(EffectError::NoSound(_))));
        assert!(matches!(speaker.play("no such", 1.0).await, Err(EffectError::Busy)));
    }

    #[tokio::test]
    async fn unresponsive_sound_server_is_not_retried_at_once() {
        let speaker = speaker(true, 1);
        speaker.take_note(&Err(EffectError::Timeout));
        assert!(matches!(speaker.play("message", 1.0).await, Err(EffectError::Off(why)) if why == SILENT));
    }
}
