//! Sanitizes untrusted file names. A safe name has at most 150 characters and no path separators.

/// Maximum length of a safe name, in characters.
const MAX_CHARS: usize = 150;

/// Sanitizes a file name against path traversal, header injection and reversed text direction.
///
/// Removes separators, control and direction characters, quotes, leading dots and repeated dots. `None` when
/// no character remains.
#[must_use]
pub fn safe_filename(name: &str) -> Option<String> {
    let mut safe = String::new();
    for c in name.chars().filter(|c| !is_unsafe(*c)) {
        let dot_too_many = c == '.' && (safe.is_empty() || safe.ends_with('.'));
        let blank_first = safe.is_empty() && c.is_whitespace();
        if !dot_too_many && !blank_first {
            safe.push(c);
        }
    }
    let short = shortened(&safe);
    let trimmed = short.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

fn is_unsafe(c: char) -> bool {
    let turns_text = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    c.is_control()
        || turns_text
        || matches!(c, '/' | '\\' | '"' | '\'' | '`' | '<' | '>' | '|' | '?' | '*' | ':')
}

/// Cuts a name to [`MAX_CHARS`] before its extension, so that the extension stays.
fn shortened(name: &str) -> String {
    let count = name.chars().count();
    if count <= MAX_CHARS {
        return name.to_owned();
    }
    let extension = name.rsplit_once('.').map(|(_, end)| end).filter(|end| end.chars().count() <= 16);
    let kept = extension.map_or(MAX_CHARS, |end| MAX_CHARS - 1 - end.chars().count());
    let start: String = name.chars().take(kept).collect();
    extension.map_or(start.clone(), |end| format!("{start}.{end}"))
}

#[cfg(test)]
mod tests {
    use super::super::file_name::*;
    use proptest::prelude::*;

    fn safe(name: &str) -> String {
        safe_filename(name).unwrap_or_default()
    }

    #[test]
    fn ordinary_file_names_are_unchanged() {
        for name in ["report.pdf", "Übersicht März 2024.xlsx", "a", "photo (1).jpeg", "archive.tar.gz"] {
            assert_eq!(safe(name), name);
        }
    }

    #[test]
    fn path_parts_are_removed_from_file_names() {
        for (name, left) in [
            ("../../etc/passwd", "etcpasswd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("/etc/shadow", "etcshadow"),
            ("a\r\nSet-Cookie: x=1", "aSet-Cookie x=1"),
            ("say \"hi\".png", "say hi.png"),
            (".bashrc", "bashrc"),
            ("invoice\u{202e}gpj.exe", "invoicegpj.exe"),
            ("nul\0byte.txt", "nulbyte.txt"),
            ("trailing. . ", "trailing"),
        ] {
            assert_eq!(safe(name), left, "{name:?}");
        }
        for nothing in ["", "..", "../..", "\r\n", " . "] {
            assert_eq!(safe_filename(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn long_file_name_keeps_extension() {
        let name = safe(&format!("{}.pdf", "x".repeat(500)));
        assert_eq!(name.chars().count(), MAX_CHARS);
        assert!(name.ends_with("x.pdf"), "{name}");
    }

    proptest! {
        #[test]
        fn safe_file_name_is_unchanged(name: String) {
            let once = safe(&name);
            prop_assert_eq!(safe(&once), once.clone());
            prop_assert!(!once.contains(['/', '\\', '"', '\r', '\n', '\0']) && !once.contains(".."));
        }
    }
}
