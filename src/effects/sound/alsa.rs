//! Plays sounds through ALSA without a sound server (feature `alsa`).
//!
//! ALSA blocks, and its library writes errors to standard error unless each thread disables it. All calls
//! therefore run on blocking threads with an error handler.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use rodio::buffer::SamplesBuffer;
use rodio::{DeviceSinkBuilder, MixerDeviceSink};
use tokio::time::timeout;

use super::decode::{CHANNELS, RATE, Samples};
use crate::effects::EffectError;

const PATIENCE: Duration = Duration::from_secs(2);
/// Delay between writing the samples and their playback.
const TAIL: Duration = Duration::from_millis(300);
const NO_DEVICE: &str = "neither a sound server nor an ALSA device was found";

/// Whether there is an ALSA device.
pub(super) async fn is_available() -> bool {
    let opened = tokio::task::spawn_blocking(|| open().is_some());
    matches!(timeout(PATIENCE, opened).await, Ok(Ok(true)))
}

/// Plays samples to their end.
///
/// # Errors
/// [`EffectError::Off`] without a device, [`EffectError::Timeout`].
pub(super) async fn play(samples: Samples) -> Result<(), EffectError> {
    let length = Duration::from_millis(samples.ms()) + TAIL;
    let playing = tokio::task::spawn_blocking(move || play_blocking(samples, length));
    match timeout(length + PATIENCE, playing).await {
        Err(_) => Err(EffectError::Timeout),
        Ok(Ok(Some(()))) => Ok(()),
        Ok(_) => Err(EffectError::Off(NO_DEVICE.to_owned())),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "on a thread for what blocks: the device belongs to the thread"
)]
fn play_blocking(samples: Samples, length: Duration) -> Option<()> {
    let device = open()?;
    let channels = NonZeroU16::new(u16::from(CHANNELS))?;
    device.mixer().add(SamplesBuffer::new(channels, NonZeroU32::new(RATE)?, samples.0));
    std::thread::sleep(length);
    Some(())
}

fn open() -> Option<MixerDeviceSink> {
    // Captures the library's error output of this thread and discards it.
    let _quiet = alsa::Output::local_error_handler();
    let mut device =
        DeviceSinkBuilder::from_default_device().ok()?.with_error_callback(|_| {}).open_stream().ok()?;
    device.log_on_drop(false);
    Some(device)
}
