//! Which file a sound's name stands for.

use std::io::Read as _;
use std::path::Path;

use crate::effects::{EffectError, sounds};

/// Extensions of what can be played, in the order in which a bare name is looked for.
const EXTENSIONS: [&str; 4] = ["wav", "ogg", "flac", "mp3"];
const MAX_NAME: usize = 64;
const MAX_BYTES: u64 = 10_000_000;

/// A sound's file, read whole.
#[derive(Debug)]
pub(super) struct File {
    pub bytes: Vec<u8>,
    /// Its extension, which helps the decoder.
    pub extension: String,
}

/// The file of a name: of the user's directory, then of the binary. Blocks while it reads.
///
/// # Errors
/// [`EffectError::NoSound`] when there is none, [`EffectError::BadSound`] when it is too large or cannot be read.
pub(super) fn find(name: &str, dir: Option<&Path>) -> Result<File, EffectError> {
    if !is_name(name) {
        return Err(EffectError::NoSound(name.chars().take(MAX_NAME).collect()));
    }
    let bare = EXTENSIONS.iter().map(|extension| format!("{name}.{extension}"));
    for file in std::iter::once(name.to_owned()).chain(bare) {
        let path = Path::new(&file);
        let extension = path.extension().map(|it| it.to_string_lossy().to_lowercase()).unwrap_or_default();
        if !EXTENSIONS.contains(&extension.as_str()) {
            continue;
        }
        if let Some(path) = dir.map(|dir| dir.join(path)).filter(|path| path.is_file()) {
            let bytes = read(&path).ok_or_else(|| EffectError::BadSound(name.to_owned()))?;
            return Ok(File { bytes, extension });
        }
    }
    let (bytes, _) = sounds::built_in(name).ok_or_else(|| EffectError::NoSound(name.to_owned()))?;
    Ok(File { bytes: bytes.to_vec(), extension: "wav".to_owned() })
}

/// One file of one directory, not hidden.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || " ._-".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().count() <= MAX_NAME && name.chars().all(plain)
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let file = std::fs::File::open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_BYTES).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_file_stands_before_one_of_the_binary() {
        let dir = tempfile::tempdir().unwrap();
        let built_in = find("message", Some(dir.path())).unwrap();
        assert!(built_in.bytes.starts_with(b"RIFF"));
        std::fs::write(dir.path().join("message.ogg"), "mine").unwrap();
        let mine = find("message", Some(dir.path())).unwrap();
        assert_eq!((mine.bytes.as_slice(), mine.extension.as_str()), (&b"mine"[..], "ogg"));
        assert_eq!(find("message.ogg", Some(dir.path())).unwrap().bytes, b"mine");
    }

    #[test]
    fn a_name_leads_out_of_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret.wav"), "x").unwrap();
        let below = dir.path().join("sounds");
        std::fs::create_dir(&below).unwrap();
        for name in ["../secret.wav", "../secret", "/etc/passwd", "..", ".hidden", "", "a\0b", "a/b"] {
            assert!(matches!(find(name, Some(&below)), Err(EffectError::NoSound(_))), "{name:?}");
        }
        std::fs::write(below.join("notes.txt"), "x").unwrap();
        assert!(matches!(find("notes.txt", Some(&below)), Err(EffectError::NoSound(_))));
    }
}
