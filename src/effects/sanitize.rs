//! Sanitizes untrusted text for display. Notifications are sanitized already; test texts and the output of
//! buses and commands may not be.

use crate::domain::notify::text::is_format_control;

/// One line of at most `max` characters, without terminal control characters and direction marks.
pub(super) fn line(text: &str, max: usize) -> String {
    let spaced = text.chars().map(|c| if is_break(c) || c == '\t' { ' ' } else { c });
    bounded(spaced.filter(|c| is_harmless(*c)), max).trim().to_owned()
}

/// Like [`line`], with at most `lines` lines.
pub(super) fn lines(text: &str, max: usize, lines: usize) -> String {
    let mut breaks = 0;
    let unified = text.replace("\r\n", "\n");
    let kept = unified.chars().map(|c| if is_break(c) { '\n' } else { c });
    let kept = kept.map(|c| if c == '\t' { ' ' } else { c });
    let kept = kept.filter(|c| *c == '\n' || is_harmless(*c));
    let folded = kept.map(|c| {
        breaks += usize::from(c == '\n');
        if c == '\n' && breaks >= lines { ' ' } else { c }
    });
    bounded(folded, max).trim().to_owned()
}

/// Escapes markup.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Reads no more characters than needed, because the text may be much longer.
fn bounded(mut chars: impl Iterator<Item = char>, max: usize) -> String {
    let mut out: String = chars.by_ref().take(max).collect();
    if chars.next().is_some() {
        out.pop();
        out.push('…');
    }
    out
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a character is neither a control character nor an invisible one that affects others.
fn is_harmless(c: char) -> bool {
    !(c.is_control() || is_format_control(c))
}

#[cfg(test)]
mod tests {
    use super::super::sanitize::*;
    use proptest::prelude::*;

    #[test]
    fn sanitize_removes_controls_and_keeps_text() {
        assert_eq!(line("a\u{1b}[31mb\0c\u{202e}d\ne", 100), "a[31mbcd e");
        assert_eq!(line("שלום 👩‍👧 é ok", 100), "שלום 👩‍👧 é ok");
        assert_eq!(lines("one\r\ntwo\u{2028}three\nfour", 100, 3), "one\ntwo\nthree four");
    }

    #[test]
    fn long_text_ends_in_ellipsis() {
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line(&"x".repeat(100_000), 50).chars().count(), 50);
        assert_eq!(line("abcd", 4), "abcd");
    }

    #[test]
    fn markup_is_shown_literally() {
        assert_eq!(escaped("<b>&\"'</b>"), "&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;");
    }

    proptest! {
        #[test]
        fn sanitized_text_has_no_harmful_characters(text in any::<String>(), max in 1_usize..200) {
            let shown = lines(&text, max, 4);
            prop_assert!(shown.chars().count() <= max);
            prop_assert!(shown.matches('\n').count() < 4);
            prop_assert!(shown.chars().all(|c| c == '\n' || is_harmless(c)));
            let one = line(&text, max);
            prop_assert!(one.chars().all(is_harmless));
            let shown = escaped(&one);
            prop_assert!(!shown.contains(['<', '>', '"']));
        }
    }
}
