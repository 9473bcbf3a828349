//! Failure codes of `message:status`, each with its meaning and advice. `docs/reason-codes.md` is generated
//! from this table.

/// A stable code of a failed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureCode {
    /// The code on the wire, in snake_case.
    pub code: &'static str,
    /// The cause, as a sentence.
    pub meaning: &'static str,
    /// The action for the operator, as a sentence.
    pub advice: &'static str,
}

/// All failure codes of engines and the outbox; codes from networks come first. A message that fails after
/// retries has the code of its last attempt.
pub const FAILURE_CODES: &[FailureCode] = &[
    of(
        "not_on_network",
        "The recipient is not on the network.",
        "Correct the number; ask `…/contacts/<id>/exists` before writing to new ones.",
    ),
    of(
        "reach_out_limited",
        "WhatsApp limits what this account may write to people who never wrote to it (its code 463).",
        "Stop writing to strangers: answer those who write first, send less, warm the account up, and try again tomorrow.",
    ),
    of(
        "rate_limited",
        "The network says that this account sends too much.",
        "Send less and slower: set a pace, and warm the account up.",
    ),
    of(
        "not_allowed",
        "The network does not allow this account to write there.",
        "Check on the phone whether the account is blocked there, or may not write in that group.",
    ),
    of("not_in_group", "The account is not in this group.", "Have somebody add it, then send again."),
    of(
        "window_closed",
        "More than 24 hours have passed since the recipient last wrote (Meta's code 131047).",
        "Send them a template (`template` instead of `text`), or wait until they write.",
    ),
    of(
        "template_not_taken",
        "Meta does not take this template (132000, 132001, 132005, 132007, 132012, 132015, 132016, 132068, 132069).",
        "Check its name, its language and its parameters; Meta's manager shows whether it is approved and active.",
    ),
    of(
        "undeliverable",
        "Meta cannot deliver to this person (131026): not on WhatsApp, too old an app, or terms not accepted.",
        "Check the number, and ask the person by other means.",
    ),
    of(
        "upstream_unauthorized",
        "The upstream does not accept the credentials of the device.",
        "Correct the credentials in the device's settings, and send it again.",
    ),
    of(
        "account_blocked",
        "Meta has blocked the account, for a time (368) or for good (131031).",
        "Look at the account in Meta's business manager.",
    ),
    of(
        "account_not_paid",
        "Meta does not deliver, as something is wrong with how the account pays (131042).",
        "Correct the payment method in Meta's business manager, and send it again.",
    ),
    of(
        "not_registered",
        "The phone number is not registered for the Cloud API (133010).",
        "Register it at Meta, and send it again.",
    ),
    of("recipient_unavailable", "The recipient could not be reached.", "Send it again later."),
    of(
        "recipient_unknown",
        "The network could not be asked whether the recipient is on it.",
        "Send it again later.",
    ),
    of("recipient_not_supported", "The engine cannot write to such a chat.", "Write to people and groups."),
    of(
        "message_invalid",
        "The network does not take such a message.",
        "Correct what it consists of; if it is a plain text, report it.",
    ),
    of("message_too_large", "The text is longer than the network takes.", "Send it in parts, or as a file."),
    of(
        "refused_by_network",
        "The network refused the message and gave no reason that is known.",
        "Look at the account on its phone; try another message.",
    ),
    of("delivery_failed", "The network took the message and could not deliver it.", "Send it again later."),
    of(
        "not_supported_by_engine",
        "The device's engine cannot send that.",
        "Look at the device's `capabilities`.",
    ),
    of(
        "not_connected",
        "The device was not connected whenever the message was tried.",
        "Look at the device's state; then send it again.",
    ),
    of(
        "not_sent",
        "The message could not be handed to the network.",
        "Send it again; if it repeats, read the log of the device.",
    ),
    of("network_unavailable", "The network could not take messages.", "Send it again later."),
    of("network_storage", "The simulated network could not store the message.", "Free its disk."),
    of(
        "link_lost_while_sending",
        "The link broke while the message was being handed over.",
        "It may have arrived: look on the phone before sending it again.",
    ),
    of(
        "no_answer",
        "The message was handed over, and the network did not say in time whether it has it.",
        "It may have arrived: look on the phone before sending it again.",
    ),
    of(
        "outcome_unknown",
        "The network never said whether it has the message.",
        "It may have arrived: look on the phone before sending it again.",
    ),
    of("media_gone", "The file of the message is not kept any more.", "Upload it again, and send it anew."),
    of("media_too_large", "The network does not take so large a file.", "Send a smaller one."),
    of(
        "media_not_taken",
        "The network does not take a file of this type.",
        "Send it as a document, or in another format.",
    ),
    of(
        "media_damaged",
        "The file is not what it was when it was stored.",
        "Check the disk; upload the file again, and send it anew.",
    ),
    of(
        "media_unreadable",
        "The file could not be read to its end.",
        "Check the disk and its room; then send the message again.",
    ),
    of(
        "upload_failed",
        "The file could not be uploaded to the network.",
        "Send it again later; if it repeats, check the machine's network.",
    ),
    of("cancelled", "It was cancelled or taken back before it was sent.", "Nothing."),
    of(
        "logged_out",
        "The device was logged out before the message was sent.",
        "Link the device and send it again.",
    ),
    of(
        "device_deleted",
        "The device was deleted before the message was sent.",
        "Send it from another device.",
    ),
];

const fn of(code: &'static str, meaning: &'static str, advice: &'static str) -> FailureCode {
    FailureCode { code, meaning, advice }
}
