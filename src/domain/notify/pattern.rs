//! What a rule asks of a text: to hold some words, or to look like something.

/// Characters of a text that are looked at.
const LOOKED_AT: usize = 4_096;

/// Without `*` a text has to hold these characters somewhere; with `*`, which stands for any number of characters, it
/// has to be like this as a whole. Upper and lower case are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Vec<char>>,
}

impl Pattern {
    /// From what a rule says.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let parts = text.split('*').map(|part| part.chars().flat_map(char::to_lowercase).collect());
        Self { parts: parts.collect() }
    }

    /// Whether a text is as asked for. Takes time in proportion to both lengths, whatever they hold.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().take(LOOKED_AT).flat_map(char::to_lowercase).collect();
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
