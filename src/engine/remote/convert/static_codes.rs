//! The upstream's stable words, as words of ours that live as long as the program.

use crate::domain::failure::FAILURE_CODES;
use crate::domain::reason::Reason;
use crate::engine::SendError;

/// Why members of a group could not be changed.
const MEMBERS: [&str; 6] =
    ["already_in_group", "group_full", "not_allowed", "not_in_group", "not_on_network", "refused_by_network"];

/// Why a message failed, as a stable word; one that is not known here becomes `refused_by_network`.
pub(in super::super) fn failure_code(word: &str) -> &'static str {
    let known = FAILURE_CODES.iter().find(|known| known.code == word);
    known.map_or("refused_by_network", |known| known.code)
}

/// Why a message failed, as the upstream tells it.
pub(in super::super) fn failure(word: Option<&str>, sentence: Option<String>) -> SendError {
    let message = sentence.filter(|text| !text.is_empty());
    SendError {
        code: word.map_or("delivery_failed", failure_code),
        message: message.unwrap_or_else(|| "the upstream could not deliver it".to_owned()),
    }
}

/// Why a member could not be changed.
pub(in super::super) fn member_code(word: Option<&str>) -> &'static str {
    let known = word.and_then(|word| MEMBERS.iter().find(|known| **known == word));
    known.copied().unwrap_or("refused_by_network")
}

/// A reason of a device's state; none where the word is not ours.
pub(in super::super) fn reason(word: Option<&str>) -> Option<Reason> {
    let word = word?;
    Reason::ALL.iter().find(|reason| reason.code() == word).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_where_they_are_known() {
        assert_eq!(failure_code("not_on_network"), "not_on_network");
        assert_eq!(failure_code("something_new"), "refused_by_network");
        assert_eq!(failure(None, None).code, "delivery_failed");
        assert_eq!(
            (member_code(Some("group_full")), member_code(None)),
            ("group_full", "refused_by_network")
        );
        assert_eq!((reason(Some("banned")), reason(Some("moon_phase"))), (Some(Reason::Banned), None));
    }
}
