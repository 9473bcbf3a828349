//! The kinds of triggers. Their names are fixed: rules, events and metrics use them.

use super::Priority;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $priority:ident, $sound:literal;)*) => {
        /// The kind of a trigger. Rules and the `notification` event use its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name in rules, events and metrics.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Default priority if the rule sets none.
            #[must_use]
            pub fn priority(self) -> Priority {
                match self { $(Self::$name => Priority::$priority,)* }
            }

            /// Default sound if the rule sets none.
            #[must_use]
            pub fn sound(self) -> &'static str {
                match self { $(Self::$name => $sound,)* }
            }
        }
    };
}

kinds! {
    /// A message was received.
    Message = "message", Normal, "message";
    /// An incoming call rings.
    Call = "call", High, "call";
    /// A call was not answered.
    MissedCall = "missed_call", Normal, "call";
    /// A device went offline without an operator's request.
    Offline = "offline", High, "system";
    /// A device waits until its QR code is scanned.
    Qr = "qr", High, "system";
    /// A device failed, or was logged out.
    Error = "error", High, "error";
    /// A message could not be sent.
    MessageFailed = "message_failed", Normal, "error";
    /// All delivery attempts of an event to a webhook failed.
    WebhookDead = "webhook_dead", Normal, "error";
    /// A webhook was disabled after failures.
    WebhookDisabled = "webhook_disabled", High, "error";
    /// More triggers than the limit per minute.
    Summary = "summary", Normal, "message";
    /// A test by an operator.
    Test = "test", Normal, "message";
}

impl Kind {
    /// The kind with this name.
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
