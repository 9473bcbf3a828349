//! Names of sounds. A valid name is one file name without directories.

/// Extensions of playable files, in the order in which a bare name is resolved.
const ENDINGS: [&str; 4] = ["wav", "ogg", "flac", "mp3"];
const MAX_NAME: usize = 64;

/// Whether a text is a valid sound name: a single, not hidden file name that needs no escaping in URLs.
#[must_use]
pub fn is_sound_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('.') && name.chars().all(plain)
}

/// Whether a file name has the extension of a sound.
#[must_use]
pub fn has_sound_ending(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, own)| ENDINGS.contains(&own))
}

/// Candidate file names for a sound name with or without its extension, in order; empty when the name is
/// invalid.
#[must_use]
pub fn sound_files(name: &str) -> Vec<String> {
    if !is_sound_name(name) {
        return Vec::new();
    }
    let whole = has_sound_ending(name).then(|| name.to_owned());
    whole.into_iter().chain(ENDINGS.iter().map(|ending| format!("{name}.{ending}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_name_resolves_within_one_directory() {
        assert_eq!(sound_files("bell"), ["bell.wav", "bell.ogg", "bell.flac", "bell.mp3"]);
        assert_eq!(sound_files("bell.mp3")[0], "bell.mp3");
        assert_eq!(sound_files("notes.txt")[0], "notes.txt.wav");
        let long = "a".repeat(MAX_NAME + 1);
        for name in
            ["../bell.wav", "/etc/passwd", "..", ".hidden.wav", "", "a\0b", "a/b", "a b", long.as_str()]
        {
            assert!(sound_files(name).is_empty(), "{name:?}");
        }
    }
}
