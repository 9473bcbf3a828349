//! Cuts a client's bytes into frames: an optional edge-routing intro, the header `WA 06 03`, then
//! frames of a 3-byte length and its payload.

use anyhow::{Result, bail};
use bytes::{Buf, BytesMut};
use wacore_binary::consts::WA_CONN_HEADER;
use wacore_noise::framing::FrameDecoder;

/// Begins the intro that names an edge: then follow a 3-byte length and its data.
const EDGE_INTRO: [u8; 4] = [b'E', b'D', 0, 1];
/// An intro is the length prefix and this much before its data.
const EDGE_HEAD: usize = EDGE_INTRO.len() + 3;

/// The bytes of one connection on their way to frames.
pub struct Frames {
    decoder: FrameDecoder,
    /// What came before the header was whole; `None` once it was.
    intro: Option<BytesMut>,
}

impl Default for Frames {
    fn default() -> Self {
        Self { decoder: FrameDecoder::new(), intro: Some(BytesMut::new()) }
    }
}

impl Frames {
    /// Takes what arrived.
    ///
    /// # Errors
    /// When the stream does not begin as WhatsApp's does.
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

    /// The next whole frame.
    pub fn take(&mut self) -> Option<BytesMut> {
        self.decoder.decode_frame()
    }
}

/// Removes the intro and the header; false when they have not wholly arrived.
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
    fn the_header_and_each_length_are_taken_off() {
        assert_eq!(frames_of(&[b"WA\x06\x03\0\0\x02ab\0\0\x01c"]), [b"ab".to_vec(), b"c".to_vec()]);
    }

    #[test]
    fn an_edge_intro_before_the_header_is_skipped_however_it_is_cut() {
        let whole = b"ED\0\x01\0\0\x03xyzWA\x06\x03\0\0\x02ab";
        for cut in 1..whole.len() {
            assert_eq!(frames_of(&[&whole[..cut], &whole[cut..]]), [b"ab".to_vec()], "cut at {cut}");
        }
    }

    #[test]
    fn another_protocol_is_refused() {
        assert!(Frames::default().feed(b"GET / HTTP/1.1").is_err());
    }
}
