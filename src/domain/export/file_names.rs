//! File names of exports. Names from messages never become paths.

use crate::domain::media::{Media, MediaKind};

/// Maximum bytes of a name; every file system accepts it.
const NAME_MAX: usize = 120;
/// Replaces a name without any usable characters.
const NAMELESS: &str = "file";

/// Removes everything from a name that a file system, shell or browser could interpret.
#[must_use]
pub fn safe_name(name: &str) -> String {
    let mut safe = String::new();
    for c in name.chars() {
        let plain = c.is_alphanumeric() || " .-_()+@,&'".contains(c);
        let c = if plain { c } else { '_' };
        if safe.len() + c.len_utf8() > NAME_MAX {
            break;
        }
        safe.push(c);
    }
    let safe = safe.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if safe.chars().any(char::is_alphanumeric) { safe.to_owned() } else { NAMELESS.to_owned() }
}

/// The name of a message's file in an export. It contains the content hash, so that each file is stored once,
/// and the word that phones use for its kind, so that the kind can be detected from the name.
#[must_use]
pub fn name_in_export(media: &Media) -> String {
    let hash = &media.file.hash.as_str()[..16];
    let word = match media.kind {
        MediaKind::Image => "PHOTO",
        MediaKind::Video => "VIDEO",
        MediaKind::Audio => "AUD",
        MediaKind::Ptt => "PTT",
        MediaKind::Sticker => "STICKER",
        MediaKind::Document => {
            let name = media.filename.as_deref().map_or_else(
                || format!("document.{}", extension(&media.file.mimetype)),
                |name| safe_name(name.rsplit(['/', '\\']).next().unwrap_or(name)),
            );
            return format!("{DOCUMENT}{hash}-{name}");
        }
    };
    format!("{word}-{hash}.{}", extension(&media.file.mimetype))
}

const DOCUMENT: &str = "DOC-";
/// Words for the kinds of files in names that phones write.
const WORDS: [(&[&str], MediaKind); 5] = [
    (&["PTT"], MediaKind::Ptt),
    (&["STK", "STICKER"], MediaKind::Sticker),
    (&["IMG", "PHOTO"], MediaKind::Image),
    (&["VID", "VIDEO", "GIF"], MediaKind::Video),
    (&["AUD", "AUDIO"], MediaKind::Audio),
];

/// Detects the kind of a file from the words in its name. For documents and unrecognized names it also
/// returns the sender's file name.
#[must_use]
pub fn detect_by_name(name: &str) -> (Option<MediaKind>, Option<String>) {
    let own = name.strip_prefix(DOCUMENT).and_then(|rest| {
        let (hash, rest) = rest.split_at_checked(16)?;
        let rest = rest.strip_prefix('-')?;
        hash.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| rest.to_owned())
    });
    if let Some(own) = own {
        return (Some(MediaKind::Document), Some(own));
    }
    let upper = name.to_ascii_uppercase();
    let has = |words: &[&str]| {
        words
            .iter()
            .any(|word| upper.starts_with(&format!("{word}-")) || upper.contains(&format!("-{word}-")))
    };
    let kind = WORDS.iter().find(|(words, _)| has(words)).map(|(_, kind)| *kind);
    let called = kind.is_none().then(|| safe_name(name));
    (kind, called)
}

/// The kind of a file by its extension.
#[must_use]
pub fn kind_of_name(name: &str) -> MediaKind {
    let by_extension = || match name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" | "png" | "gif" => MediaKind::Image,
        "webp" => MediaKind::Sticker,
        "mp4" | "3gp" | "mov" | "webm" | "mkv" => MediaKind::Video,
        "opus" => MediaKind::Ptt,
        "mp3" | "m4a" | "ogg" | "aac" | "wav" | "amr" => MediaKind::Audio,
        _ => MediaKind::Document,
    };
    detect_by_name(name).0.unwrap_or_else(by_extension)
}

fn extension(mimetype: &str) -> &'static str {
    match mimetype {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "video/mp4" => "mp4",
        "video/3gpp" => "3gp",
        "video/quicktime" => "mov",
        "video/webm" => "webm",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/ogg" => "opus",
        "audio/aac" => "aac",
        "audio/wav" | "audio/x-wav" => "wav",
        "application/pdf" => "pdf",
        "text/plain" => "txt",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_names::*;
    use crate::domain::media::{MediaHash, StoredMedia};
    use proptest::prelude::*;

    fn media(kind: MediaKind, mimetype: &str, filename: Option<&str>) -> Media {
        let file = StoredMedia {
            hash: MediaHash::of_digest(&[0xab; 32]),
            mimetype: mimetype.into(),
            filesize: 1,
            duration: None,
            dimensions: None,
            has_thumbnail: false,
        };
        Media { kind, file, filename: filename.map(str::to_owned), available: true, links: None }
    }

    #[test]
    fn exported_file_name_states_kind() {
        let name = name_in_export(&media(MediaKind::Ptt, "audio/ogg", None));
        assert_eq!(name, "PTT-abababababababab.opus");
        assert_eq!(detect_by_name(&name), (Some(MediaKind::Ptt), None));
        let name =
            name_in_export(&media(MediaKind::Document, "application/pdf", Some("../a/Rechnung 7.pdf")));
        assert_eq!(name, "DOC-abababababababab-Rechnung 7.pdf");
        assert_eq!(detect_by_name(&name), (Some(MediaKind::Document), Some("Rechnung 7.pdf".into())));
    }

    #[test]
    fn media_kind_is_read_from_phone_file_names() {
        for (name, kind) in [
            ("IMG-20260131-WA0001.jpg", MediaKind::Image),
            ("00000012-PHOTO-2026-01-31-12-00-00.jpg", MediaKind::Image),
            ("00000013-STICKER-2026-01-31-12-00-00.webp", MediaKind::Sticker),
            ("PTT-20260131-WA0003.opus", MediaKind::Ptt),
            ("notes.pdf", MediaKind::Document),
            ("clip.MP4", MediaKind::Video),
        ] {
            assert_eq!(kind_of_name(name), kind, "{name}");
        }
    }

    proptest! {
        #[test]
        fn file_name_has_no_path(name in "\\PC{0,200}|[./\\\\\u{0}\n:]{0,20}") {
            let safe = safe_name(&name);
            prop_assert!(!safe.is_empty() && safe.len() <= NAME_MAX);
            prop_assert!(!safe.contains(['/', '\\', '\0', '\n', '"', ':', ';']) && !safe.starts_with('.'));
        }
    }
}
