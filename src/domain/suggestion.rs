//! Suggests a valid key for a misspelt one, by edit distance or by an equal last segment.

/// The candidate that `key` probably stands for; `None` without a close candidate.
#[must_use]
pub fn suggest<'a>(key: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let closest = candidates.clone().map(|candidate| (strsim::levenshtein(key, candidate), candidate)).min();
    if let Some((edits, candidate)) = closest
        && edits <= (key.chars().count() / 4).max(2)
    {
        return Some(candidate.to_owned());
    }
    // The last segment is correct, but the section is not.
    let name = last_segment(key);
    let mut same_name = candidates.filter(|candidate| last_segment(candidate) == name);
    match (same_name.next(), same_name.next()) {
        (Some(only), None) => Some(only.to_owned()),
        _ => None,
    }
}

fn last_segment(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}
