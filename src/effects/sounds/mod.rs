//! The sounds that are in the binary, whose files `assets/sounds/make.py` makes, and those of the user ([`library`]).

pub mod library;

/// Names of the sounds that are in the binary.
pub const NAMES: [&str; 4] = ["message", "call", "system", "error"];

/// A sound of the binary: its file and its media type.
#[must_use]
pub fn built_in(name: &str) -> Option<(&'static [u8], &'static str)> {
    let file: &'static [u8] = match name {
        "message" => include_bytes!("../../../assets/sounds/message.wav"),
        "call" => include_bytes!("../../../assets/sounds/call.wav"),
        "system" => include_bytes!("../../../assets/sounds/system.wav"),
        "error" => include_bytes!("../../../assets/sounds/error.wav"),
        _ => return None,
    };
    Some((file, "audio/wav"))
}

/// The media type of a sound's file by how it begins; `None` when it is none that can be played.
#[must_use]
pub fn media_type(file: &[u8]) -> Option<&'static str> {
    match file {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some("audio/wav"),
        [b'O', b'g', b'g', b'S', ..] => Some("audio/ogg"),
        [b'f', b'L', b'a', b'C', ..] => Some("audio/flac"),
        // A tag, or a frame at once.
        [b'I', b'D', b'3', ..] => Some("audio/mpeg"),
        [0xff, second, ..] if second & 0xe6 == 0xe2 => Some("audio/mpeg"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_sounds_are_small_and_distinct() {
        let files: Vec<_> = NAMES.iter().map(|name| built_in(name).unwrap().0).collect();
        assert!(files.iter().all(|file| file.starts_with(b"RIFF") && file.len() < 60_000));
        let distinct: std::collections::BTreeSet<_> = files.iter().collect();
        assert_eq!(distinct.len(), NAMES.len());
        assert!(built_in("other").is_none());
    }

    #[test]
    fn sound_type_is_detected_by_first_bytes() {
        for name in NAMES {
            assert_eq!(media_type(built_in(name).unwrap().0), Some("audio/wav"));
        }
        assert_eq!(media_type(b"OggS\0\x02"), Some("audio/ogg"));
        assert_eq!(media_type(b"fLaC\0"), Some("audio/flac"));
        assert_eq!(media_type(b"ID3\x04"), Some("audio/mpeg"));
        assert_eq!(media_type(&[0xff, 0xfb, 0x90]), Some("audio/mpeg"));
        for no in [&b""[..], b"RIFF", b"RIFF\0\0\0\0AVI ", b"root:x:0:0:", b"\xff\xfe", b"\xff"] {
            assert_eq!(media_type(no), None, "{no:?}");
        }
    }
}
