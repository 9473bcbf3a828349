//! Ids of operator chat. Numbers come from one counter for each kind; a user id is the identity provider's.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Longest user id, in characters.
pub const USER_ID_MAX_CHARS: usize = 128;
/// Ids stay below 2^40, so that a client's clock in milliseconds is larger than any of them.
const NUMBER_MAX: i64 = (1 << 40) - 1;

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidChatId {
    /// Not digits, or too large.
    #[error("must be an id of digits")]
    Number,
    /// Empty, too long, or with U+0000.
    #[error("must be 1 to 128 characters without U+0000")]
    User,
}

macro_rules! number_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidChatId;

            fn from_str(text: &str) -> Result<Self, InvalidChatId> {
                number(text).map(Self)
            }
        }
    )*};
}

number_ids! {
    /// A conversation.
    ConversationId;
    /// A message of a conversation.
    ChatMessageId;
    /// A notification of a user.
    ChatNotificationId;
    /// An uploaded file.
    ChatFileId;
    /// A user's row, which is never shown.
    UserPk;
}

fn number(text: &str) -> Result<i64, InvalidChatId> {
    let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    let number = text.parse().ok().filter(|_| is_plain);
    number.filter(|n| (1..=NUMBER_MAX).contains(n)).ok_or(InvalidChatId::Number)
}

/// A user's id as its identity provider writes it, unique within the tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(String);

impl UserId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserId {
    type Err = InvalidChatId;

    fn from_str(text: &str) -> Result<Self, InvalidChatId> {
        let fits = !text.is_empty() && text.chars().take(USER_ID_MAX_CHARS + 1).count() <= USER_ID_MAX_CHARS;
        if fits && !text.contains('\0') { Ok(Self(text.to_owned())) } else { Err(InvalidChatId::User) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_ids_are_plain_digits() {
        assert_eq!("1042".parse(), Ok(ChatMessageId(1042)));
        for wrong in ["", "0", "01", "-1", "+1", "1.0", "a", " 1", "1099511627776", "99999999999999999999"] {
            assert_eq!(wrong.parse::<ConversationId>(), Err(InvalidChatId::Number), "{wrong}");
        }
    }

    #[test]
    fn user_ids_are_bounded_texts() {
        assert_eq!("ü 7_b".parse::<UserId>().unwrap().as_str(), "ü 7_b");
        assert!("ü".repeat(128).parse::<UserId>().is_ok());
        for wrong in ["", "a\0b", &"x".repeat(129)] {
            assert!(wrong.parse::<UserId>().is_err());
        }
    }
}
