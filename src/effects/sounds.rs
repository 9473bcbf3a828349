//! The sounds that are in the binary. `assets/sounds/make.py` makes their files.

/// Names of the sounds that are in the binary.
pub const NAMES: [&str; 4] = ["message", "call", "system", "error"];

/// A sound of the binary: its file and its media type.
#[must_use]
pub fn built_in(name: &str) -> Option<(&'static [u8], &'static str)> {
    let file: &'static [u8] = match name {
        "message" => include_bytes!("../../assets/sounds/message.wav"),
        "call" => include_bytes!("../../assets/sounds/call.wav"),
        "system" => include_bytes!("../../assets/sounds/system.wav"),
        "error" => include_bytes!("../../assets/sounds/error.wav"),
        _ => return None,
    };
    Some((file, "audio/wav"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_small_file_of_its_own() {
        let files: Vec<_> = NAMES.iter().map(|name| built_in(name).unwrap().0).collect();
        assert!(files.iter().all(|file| file.starts_with(b"RIFF") && file.len() < 60_000));
        let distinct: std::collections::BTreeSet<_> = files.iter().collect();
        assert_eq!(distinct.len(), NAMES.len());
        assert!(built_in("other").is_none());
    }
}
