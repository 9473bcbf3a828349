//! What happens that people may want to hear of.

use super::Priority;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $priority:ident, $sound:literal;)*) => {
        /// What happened. The words are those of rules and of the `notification` event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its word on every wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// How much it matters where no rule says it.
            #[must_use]
            pub fn priority(self) -> Priority {
                match self { $(Self::$name => Priority::$priority,)* }
            }

            /// Its sound where no rule says it.
            #[must_use]
            pub fn sound(self) -> &'static str {
                match self { $(Self::$name => $sound,)* }
            }
        }
    };
}

kinds! {
    /// A message came in.
    Message = "message", Normal, "message";
    /// Somebody calls.
    Call = "call", High, "call";
    /// Somebody called in vain.
    MissedCall = "missed_call", Normal, "call";
    /// A device went offline although nobody asked it to.
    Offline = "offline", High, "system";
    /// A device waits for its QR code to be scanned.
    Qr = "qr", High, "system";
    /// A device failed, or was logged out.
    Error = "error", High, "error";
    /// A message could not be sent.
    MessageFailed = "message_failed", Normal, "error";
    /// An event did not reach a webhook in any try.
    WebhookDead = "webhook_dead", Normal, "error";
    /// A webhook was disabled for its failures.
    WebhookDisabled = "webhook_disabled", High, "error";
    /// More happened than can be told one by one.
    Summary = "summary", Normal, "message";
    /// Somebody tries it out.
    Test = "test", Normal, "message";
}

impl Kind {
    /// The kind of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trigger_kind_names_round_trip() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.as_str()), Some(*kind));
        }
        assert_eq!(Kind::of("messages"), None);
    }
}
