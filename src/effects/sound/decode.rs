//! Decodes sound files to samples at the playback rate and channels. CPU-bound and blocking.

use std::io::Cursor;
use std::num::{NonZeroU16, NonZeroU32};

use rodio::buffer::SamplesBuffer;
use rodio::source::UniformSourceIterator;
use rodio::{Decoder, Source as _};

use crate::effects::sounds::library::Sound;

/// Sample rate in Hz.
pub(super) const RATE: u32 = 44_100;
pub(super) const CHANNELS: u8 = 2;

/// Limit of decoded samples in memory, for any rate and channels of a file.
const MAX_DECODED: usize = 8_000_000;

/// Interleaved samples of the left and right channel.
#[derive(Debug)]
pub(super) struct Samples(pub Vec<f32>);

impl Samples {
    /// Duration in milliseconds.
    pub(super) fn ms(&self) -> u64 {
        self.0.len() as u64 * 1000 / (u64::from(RATE) * u64::from(CHANNELS))
    }
}

/// Decodes up to `max_ms` of a file with the given volume, clipped to the valid range. `None` when the file
/// is not a sound.
pub(super) fn decode(sound: Sound, volume: f32, max_ms: u64) -> Option<Samples> {
    let length = sound.bytes.len() as u64;
    let decoder = Decoder::builder()
        .with_data(Cursor::new(sound.bytes))
        .with_byte_len(length)
        .with_mime_type(sound.media_type)
        .build()
        .ok()?;
    let (channels, rate) = (decoder.channels(), decoder.sample_rate());
    let frames = usize::try_from(max_ms * u64::from(rate.get()) / 1000).unwrap_or(0);
    let most = frames.saturating_mul(usize::from(channels.get())).min(MAX_DECODED);
    // Collected before conversion: an empty chunk, such as the first of each OGG file, would end the
    // conversion.
    let decoded = SamplesBuffer::new(channels, rate, decoder.take(most).collect::<Vec<f32>>());
    let wanted = NonZeroU16::new(u16::from(CHANNELS))?;
    let uniform = UniformSourceIterator::new(decoded.amplify(volume), wanted, NonZeroU32::new(RATE)?);
    let mut samples: Vec<f32> = uniform.map(|sample| sample.clamp(-1.0, 1.0)).collect();
    // Removes half a frame at the end, which would swap the channels of later samples.
    samples.truncate(samples.len() - samples.len() % usize::from(CHANNELS));
    (!samples.is_empty()).then_some(Samples(samples))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::sounds;

    fn built_in(name: &str) -> Sound {
        let (bytes, media_type) = sounds::built_in(name).unwrap();
        Sound { bytes: bytes.to_vec(), media_type }
    }

    fn loudest(samples: &Samples) -> f32 {
        samples.0.iter().fold(0.0, |max, sample| sample.abs().max(max))
    }

    #[test]
    fn built_in_sounds_decode_at_full_length() {
        for (name, ms) in [("message", 410), ("call", 1230), ("system", 450), ("error", 580)] {
            let samples = decode(built_in(name), 1.0, 10_000).unwrap();
            assert!(samples.ms().abs_diff(ms) <= 5, "{name}: {} ms", samples.ms());
            assert!((0.4..0.7).contains(&loudest(&samples)), "{name}: {}", loudest(&samples));
        }
    }

    #[test]
    fn volume_scales_samples_without_overflow() {
        let half = loudest(&decode(built_in("message"), 0.5, 10_000).unwrap());
        assert!((0.2..0.3).contains(&half), "{half}");
        assert_eq!(loudest(&decode(built_in("message"), 0.0, 10_000).unwrap()), 0.0);
        assert_eq!(loudest(&decode(built_in("message"), 100.0, 10_000).unwrap()), 1.0);
    }

    #[test]
    fn long_sound_is_cut() {
        assert!(decode(built_in("call"), 1.0, 100).unwrap().ms().abs_diff(100) <= 1);
    }

    #[test]
    fn invalid_sound_is_rejected() {
        for bytes in [&b""[..], b"RIFF", b"not a sound at all", &[0; 5000], &[0xff; 5000]] {
            for media_type in ["audio/wav", "audio/ogg", "audio/flac", "audio/mpeg"] {
                let sound = Sound { bytes: bytes.to_vec(), media_type };
                assert!(decode(sound, 1.0, 1000).is_none(), "{media_type}: {} bytes", bytes.len());
            }
        }
    }
}
