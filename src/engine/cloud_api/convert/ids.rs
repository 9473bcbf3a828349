//! People and groups: phone numbers, business-scoped ids, and Meta's ids of groups.
//!
//! Since 2026 a person may have no number, only an id for one business (`US.13491208655302741918`). Such a
//! person is a `@lid` here, and a group a `@g.us`: two digits for each character, so that the conversion back
//! needs no storage.

use std::collections::HashMap;

use crate::domain::ids::MessageId;
use crate::domain::jid::{Jid, JidKind};

/// Our messages, by Meta's ids.
pub(in super::super) type MessageAliases = HashMap<String, MessageId>;

/// The difference between a character and its two digits: 10 is `!`, 99 is `z`.
const SHIFT: u8 = 23;

/// A person: by number where there is one.
pub(in super::super) fn person(wa_id: Option<&str>, user_id: Option<&str>) -> Option<Jid> {
    wa_id.and_then(number).or_else(|| user_id.and_then(hidden))
}

/// A person by number.
pub(in super::super) fn number(wa_id: &str) -> Option<Jid> {
    Jid::person(wa_id.trim_start_matches('+')).ok()
}

/// A person by business-scoped id.
pub(in super::super) fn hidden(user_id: &str) -> Option<Jid> {
    format!("{}@lid", digits(user_id)?).parse().ok()
}

/// A group by Meta's id.
pub(in super::super) fn group(group_id: &str) -> Option<Jid> {
    format!("{}@g.us", digits(group_id)?).parse().ok()
}

/// The recipient of a message, as Meta addresses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Recipient {
    /// A person's number.
    Number(String),
    /// A person's business-scoped id.
    User(String),
    Group(String),
}

/// The recipient for a chat; `None` where Meta cannot reach it.
pub(in super::super) fn recipient(chat: &Jid) -> Option<Recipient> {
    match chat.kind() {
        JidKind::Person => Some(Recipient::Number(chat.user().to_owned())),
        JidKind::Lid => text(chat.user()).map(Recipient::User),
        JidKind::Group => text(chat.user()).map(Recipient::Group),
        JidKind::Status | JidKind::Newsletter => None,
    }
}

fn digits(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.bytes().all(|byte| (10..=99).contains(&byte.wrapping_sub(SHIFT)));
    fits.then(|| text.bytes().map(|byte| (byte - SHIFT).to_string()).collect())
}

fn text(digits: &str) -> Option<String> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let code: u8 = std::str::from_utf8(pair).ok()?.parse().ok()?;
        (code >= 10).then(|| char::from(code + SHIFT))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn number_is_preferred_to_business_scoped_id() {
        let both = person(Some("15550100001"), Some("US.1349")).unwrap();
        assert_eq!(both.to_string(), "15550100001@c.us");
        let hidden = person(None, Some("US.13491208655302741918")).unwrap();
        assert_eq!(hidden.kind(), JidKind::Lid);
        assert_eq!(recipient(&hidden), Some(Recipient::User("US.13491208655302741918".into())));
        assert_eq!(person(Some(""), None), None);
    }

    #[test]
    fn foreign_ids_have_no_recipient() {
        for chat in ["0001@lid", "123@lid", "status@broadcast", "120363000000000001-1@g.us"] {
            assert_eq!(recipient(&chat.parse().unwrap()), None, "{chat}");
        }
        assert!(recipient(&Jid::placeholder(7)).is_none());
    }

    proptest! {
        #[test]
        fn ids_survive_conversion_both_ways(id in "[A-Z]{2}\\.[A-Za-z0-9]{1,120}") {
            prop_assert_eq!(recipient(&hidden(&id).unwrap()), Some(Recipient::User(id.clone())));
            prop_assert_eq!(recipient(&group(&id).unwrap()), Some(Recipient::Group(id)));
        }
    }
}
