//! Maps the upstream's codes to our static codes; unknown codes get a general one.

use crate::domain::failure::FAILURE_CODES;
use crate::domain::reason::Reason;
use crate::engine::SendError;

/// Codes of a refused change to a member of a group.
const MEMBERS: [&str; 6] =
    ["already_in_group", "group_full", "not_allowed", "not_in_group", "not_on_network", "refused_by_network"];

/// The code of a failed message; `refused_by_network` for an unknown one.
pub(in super::super) fn failure_code(word: &str) -> &'static str {
    let found = FAILURE_CODES.iter().find(|failure| failure.code == word);
    found.map_or("refused_by_network", |failure| failure.code)
}

/// The error of a failed message.
pub(in super::super) fn failure(word: Option<&str>, sentence: Option<String>) -> SendError {
    let message = sentence.filter(|text| !text.is_empty());
    SendError {
        code: word.map_or("delivery_failed", failure_code),
        message: message.unwrap_or_else(|| "the upstream could not deliver it".to_owned()),
    }
}

/// The code of a refused change to a member.
pub(in super::super) fn member_code(word: Option<&str>) -> &'static str {
    let found = word.and_then(|word| MEMBERS.iter().find(|code| **code == word));
    found.copied().unwrap_or("refused_by_network")
}

/// The reason of a device's state; `None` for an unknown one.
pub(in super::super) fn reason(word: Option<&str>) -> Option<Reason> {
    let word = word?;
    Reason::ALL.iter().find(|reason| reason.code() == word).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_codes_are_kept() {
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
