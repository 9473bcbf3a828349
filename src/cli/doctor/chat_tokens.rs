//! Warns in `wharf doctor` that operator chat accepts users without proof.

use super::host::Check;
use crate::settings::Settings;

const NAME: &str = "chat tokens";

/// Checks `chat.allow_plain_tokens`; `None` while it is off.
pub(in crate::cli) fn probe(settings: &Settings) -> Option<Check> {
    let has_plain = settings.chat.enabled && settings.chat.allow_plain_tokens;
    has_plain.then(|| {
        Check::warn(
            NAME,
            "chat.allow_plain_tokens lets everyone on this machine act as any user of the identity plain",
            "It is for development: set it to false, and configure [[chat.identities]].",
        )
    })
}
