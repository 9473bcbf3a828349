//! Splits a client's bytes into frames: an optional edge-routing intro, the header `WA 06 03`, then frames
//! with a 3-byte length.

use anyhow::{Result, bail};
use bytes::{Buf, BytesMut};
use wacore_binary::consts::WA_CONN_HEADER;
use wacore_noise::framing::FrameDecoder;

/// Starts the edge-routing intro, before its 3-byte length and data.
const EDGE_INTRO: [u8; 4] = [b'E', b'D', 0, 1];
/// The bytes of an intro before its data.
const EDGE_HEAD: usize = EDGE_INTRO.len() + 3;

/// The frame decoder of one connection.
pub struct Frames {
    decoder: FrameDecoder,
    /// The bytes before the end of the header; `None` after it.
    intro: Option<BytesMut>,
}

impl Default for Frames {
    fn default() -> Self {
        Self { decoder: FrameDecoder::new(), intro: Some(BytesMut::new()) }
    }
}

impl Frames {
    /// Adds received bytes.
    ///
    /// # Errors
    /// If the stream does not start like WhatsApp's.
    pub fn feed(&mut self, data: &[u8]) -> Result<()> {
        let Some(intro) = &mut self.intro else {
            self.decoder.feed(data);
            return Ok(());
        };
        intro.extend_from_slice(data);
        if !strip(intro)? {
            return Ok(());
        }
        let rest = self.intro.take().unwrap_or_default();
        self.decoder.feed(&rest);
        Ok(())
    }

    /// The next complete frame.
    pub fn take(&mut self) -> Option<BytesMut> {
        self.decoder.decode_frame()
    }
}

/// Removes intro and header; `false` while they are incomplete.
fn strip(bytes: &mut BytesMut) -> Result<bool> {
    if bytes.starts_with(&EDGE_INTRO) {
        let Some(length) = bytes.get(EDGE_INTRO.len()..EDGE_HEAD) else { return Ok(false) };
        let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        if bytes.len() < EDGE_HEAD + length {
            return Ok(false);
        }
        bytes.advance(EDGE_HEAD + length);
    }
    if bytes.len() < WA_CONN_HEADER.len() {
        return Ok(false);
    }
    if !bytes.starts_with(&WA_CONN_HEADER) {
        bail!("the stream begins with neither WA 06 03 nor an edge intro");
    }
    bytes.advance(WA_CONN_HEADER.len());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames_of(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for chunk in chunks {
            frames.feed(chunk).expect("a WhatsApp stream");
            while let Some(frame) = frames.take() {
                found.push(frame.to_vec());
            }
        }
        found
    }

    #[test]
    fn header_and_lengths_are_removed() {
        assert_eq!(frames_of(&[b"WA\x06\x03\0\0\x02ab\0\0\x01c"]), [b"ab".to_vec(), b"c".to_vec()]);
    }

    #[test]
    fn edge_intro_is_skipped_in_any_chunks() {
        let whole = b"ED\0\x01\0\0\x03xyzWA\x06\x03\0\0\x02ab";
        for cut in 1..whole.len() {
            assert_eq!(frames_of(&[&whole[..cut], &whole[cut..]]), [b"ab".to_vec()], "cut at {cut}");
        }
    }

    #[test]
    fn other_protocol_is_rejected() {
        assert!(Frames::default().feed(b"GET / HTTP/1.1").is_err());
    }
}
