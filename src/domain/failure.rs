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
        "Correct the number. Check new numbers with `…/contacts/<id>/exists` before sending.",
    ),
    of(
        "reach_out_limited",
        "WhatsApp limits messages from this account to people who never wrote to it (WhatsApp code 463).",
        "Send only to people who wrote first. Send fewer messages, warm the account up, and try again tomorrow.",
    ),
    of(
        "rate_limited",
        "The network reports that this account sends too many messages.",
        "Send fewer messages, set a slower pace, and warm the account up.",
    ),
    of(
        "not_allowed",
        "The network does not allow this account to send to this chat.",
        "Check on the phone whether the account is blocked, or may not send to the group.",
    ),
    of(
        "not_in_group",
        "The account is not in this group.",
        "Ask a group admin to add the account, then send the message again.",
    ),
    of(
        "window_closed",
        "More than 24 hours have passed since the recipient last wrote (Meta code 131047).",
        "Send a template (`template` instead of `text`), or wait until the recipient writes.",
    ),
    of(
        "template_not_taken",
        "Meta rejected this template (132000, 132001, 132005, 132007, 132012, 132015, 132016, 132068, 132069).",
        "Check its name, language and parameters. Meta's manager shows whether it is approved and active.",
    ),
    of(
        "undeliverable",
        "Meta cannot deliver to this recipient (131026): not on WhatsApp, outdated app, or terms not accepted.",
        "Check the number, and contact the recipient in another way.",
    ),
    of(
        "upstream_unauthorized",
        "The upstream rejected the credentials of the device.",
        "Correct the credentials in the device's settings, then send the message again.",
    ),
    of(
        "account_blocked",
        "Meta has blocked the account, temporarily (368) or permanently (131031).",
        "Check the account in Meta's business manager.",
    ),
    of(
        "account_not_paid",
        "Meta does not deliver because of a payment problem of the account (131042).",
        "Correct the payment method in Meta's business manager, then send the message again.",
    ),
    of(
        "not_registered",
        "The phone number is not registered for the Cloud API (133010).",
        "Register the number at Meta, then send the message again.",
    ),
    of("recipient_unavailable", "The recipient could not be reached.", "Send the message again later."),
    of(
        "recipient_unknown",
        "The network did not report whether the recipient is on it.",
        "Send the message again later.",
    ),
    of(
        "recipient_not_supported",
        "The engine cannot send to this kind of chat.",
        "Send to people and groups only.",
    ),
    of(
        "message_invalid",
        "The network rejected the message as invalid.",
        "Correct the content of the message; if it is a plain text, report the error.",
    ),
    of(
        "message_too_large",
        "The text exceeds the network's length limit.",
        "Send the text in parts, or as a file.",
    ),
    of(
        "refused_by_network",
        "The network rejected the message for an unknown reason.",
        "Check the account on its phone; try another message.",
    ),
    of(
        "delivery_failed",
        "The network accepted the message and could not deliver it.",
        "Send the message again later.",
    ),
    of(
        "not_supported_by_engine",
        "The device's engine does not support this message.",
        "Check the device's `capabilities`.",
    ),
    of(
        "not_connected",
        "The device was not connected during any attempt to send the message.",
        "Check the device's state, then send the message again.",
    ),
    of(
        "not_sent",
        "The message could not be sent to the network.",
        "Send the message again; if the error repeats, read the log of the device.",
    ),
    of("network_unavailable", "The network could not accept messages.", "Send the message again later."),
    of(
        "network_storage",
        "The simulated network could not store the message.",
        "Free disk space on its host.",
    ),
    of(
        "link_lost_while_sending",
        "The connection was lost while the message was being sent.",
        "Check on the phone whether it arrived before sending it again.",
    ),
    of(
        "no_answer",
        "The message was sent, and the network did not acknowledge it in time.",
        "Check on the phone whether it arrived before sending it again.",
    ),
    of(
        "outcome_unknown",
        "The network never acknowledged the message.",
        "Check on the phone whether it arrived before sending it again.",
    ),
    of(
        "media_gone",
        "The file of the message is no longer stored.",
        "Upload the file again, then send a new message.",
    ),
    of("media_too_large", "The file exceeds the network's size limit.", "Send a smaller file."),
    of(
        "media_not_taken",
        "The network does not accept files of this type.",
        "Send the file as a document, or in another format.",
    ),
    of(
        "media_damaged",
        "The stored file is damaged.",
        "Check the disk and upload the file again, then send a new message.",
    ),
    of(
        "media_unreadable",
        "The file could not be read completely.",
        "Check the disk and its free space, then send the message again.",
    ),
    of(
        "upload_failed",
        "The file could not be uploaded to the network.",
        "Send the message again later; if the error repeats, check the network of the host.",
    ),
    of("cancelled", "The message was cancelled or revoked before it was sent.", "No action needed."),
    of(
        "logged_out",
        "The device was logged out before the message was sent.",
        "Link the device and send the message again.",
    ),
    of(
        "device_deleted",
        "The device was deleted before the message was sent.",
        "Send the message from another device.",
    ),
];

const fn of(code: &'static str, meaning: &'static str, advice: &'static str) -> FailureCode {
    FailureCode { code, meaning, advice }
}
