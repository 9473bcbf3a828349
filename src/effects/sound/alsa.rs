//! Playing straight through ALSA, where there is no sound server (feature `alsa`).
//!
//! ALSA blocks, and its library writes what it meets to standard error unless told not to, for each thread: so all of
//! this runs on threads of its own that are told.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use rodio::buffer::SamplesBuffer;
use rodio::{DeviceSinkBuilder, MixerDeviceSink};
use tokio::time::timeout;

use super::decode::{CHANNELS, RATE, Samples};
use crate::effects::EffectError;

const PATIENCE: Duration = Duration::from_secs(2);
/// What was handed over is heard a little later.
const TAIL: Duration = Duration::from_millis(300);
const NO_DEVICE: &str = "neither a sound server nor an ALSA device was found";

/// Whether there is a device.
pub(super) async fn look() -> bool {
    let opened = tokio::task::spawn_blocking(|| open().is_some());
    matches!(timeout(PATIENCE, opened).await, Ok(Ok(true)))
}

/// Plays samples to their end.
///
/// # Errors
/// [`EffectError::Off`] without a device, [`EffectError::Timeout`].
pub(super) async fn play(samples: Samples) -> Result<(), EffectError> {
    let length = Duration::from_millis(samples.ms()) + TAIL;
    let playing = tokio::task::spawn_blocking(move || heard(samples, length));
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
fn heard(samples: Samples, length: Duration) -> Option<()> {
    let device = open()?;
    let channels = NonZeroU16::new(u16::from(CHANNELS))?;
    device.mixer().add(SamplesBuffer::new(channels, NonZeroU32::new(RATE)?, samples.0));
    std::thread::sleep(length);
    Some(())
}

fn open() -> Option<MixerDeviceSink> {
    // What it would have written is kept, for this thread, and thrown away with it.
    let _quiet = alsa::Output::local_error_handler();
    let mut device =
        DeviceSinkBuilder::from_default_device().ok()?.with_error_callback(|_| {}).open_stream().ok()?;
    device.log_on_drop(false);
    Some(device)
}
