//! Text patterns of rules: substring or wildcard match. The time is bounded for any pattern and text.

/// Characters of a text that are compared; the rest is ignored.
const MAX_COMPARED: usize = 4_096;

/// A case-insensitive pattern. Without `*` it matches a substring; with `*`, which stands for any characters,
/// it matches the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Vec<char>>,
}

impl Pattern {
    /// Parses a pattern; every text is valid.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let parts = text.split('*').map(|part| part.chars().flat_map(char::to_lowercase).collect());
        Self { parts: parts.collect() }
    }

    /// Whether a text matches. The time is at most proportional to the product of both lengths.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().take(MAX_COMPARED).flat_map(char::to_lowercase).collect();
        let ([first, .., last], true) = (self.parts.as_slice(), self.parts.len() > 1) else {
            return self.parts.first().is_none_or(|part| find(&text, part).is_some());
        };
        if text.len() < first.len() + last.len() || !text.starts_with(first) || !text.ends_with(last) {
            return false;
        }
        let mut rest = &text[first.len()..text.len() - last.len()];
        for part in &self.parts[1..self.parts.len() - 1] {
            let Some(at) = find(rest, part) else { return false };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

fn find(text: &[char], part: &[char]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).matches(text)
    }

    #[test]
    fn pattern_matches_substrings_and_wildcards() {
        assert!(matches("order", "My ORDER, please"));
        assert!(!matches("order", "my ode"));
        assert!(matches("Order *", "order 17") && !matches("order *", "my order 17"));
        assert!(matches("*17", "order 17") && matches("o*r*7", "order 17") && matches("*", ""));
        assert!(!matches("ab*ba", "aba"));
        assert!(matches("straße", "STRASSE") == "STRASSE".to_lowercase().contains("straße"));
    }

    proptest! {
        #[test]
        fn pattern_matches_any_substring(before in "\\PC{0,20}", part in "[^*]{0,10}", after in "\\PC{0,20}") {
            let text = format!("{before}{part}{after}");
            let part = part.replace('*', "");
            prop_assume!(text.contains(&part));
            prop_assert!(matches(&part, &text));
            let whole = format!("{}*{}", before.replace('*', ""), after.replace('*', ""));
            if !before.contains('*') && !after.contains('*') {
                prop_assert!(matches(&whole, &text));
            }
        }

        #[test]
        fn pattern_without_wildcards_equals_contains(pattern in "[a-c]{0,4}", text in "[a-c]{0,12}") {
            prop_assert_eq!(matches(&pattern, &text), text.contains(&pattern));
        }
    }
}
