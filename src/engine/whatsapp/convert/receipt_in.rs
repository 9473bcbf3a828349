//! Converts receipts and acknowledgements.

use whatsapp_rust::types::events::{Receipt, ServerAck};
use whatsapp_rust::types::presence::ReceiptType;

use super::identities::Identities;
use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::NetworkId;
use crate::engine::{EngineEvent, IncomingReceipt, SendError};

/// Converts a receipt: one event for each message, none for receipts between clients.
pub(in super::super) fn from_receipt(receipt: &Receipt, ids: &Identities) -> Vec<EngineEvent> {
    let Some(chat) = ids.jid(&receipt.source.chat) else { return Vec::new() };
    let messages = || receipt.message_ids.iter().filter_map(|id| id.parse::<NetworkId>().ok());
    let sender = ids.jid(&receipt.source.sender);
    let by_me = receipt.source.is_from_me || sender.as_ref().is_some_and(|sender| ids.is_me(sender));
    if matches!(receipt.r#type, ReceiptType::ReadSelf | ReceiptType::PlayedSelf)
        || (by_me && matches!(receipt.r#type, ReceiptType::Read | ReceiptType::Played))
    {
        return vec![EngineEvent::ReadElsewhere { chat, messages: messages().collect() }];
    }
    let Some(ack) = level(&receipt.r#type).filter(|_| !by_me) else { return Vec::new() };
    let participant = sender.filter(|_| chat.is_group());
    let timestamp = Millis(receipt.timestamp.timestamp_millis());
    let one = |network_id| {
        EngineEvent::Receipt(IncomingReceipt {
            chat: chat.clone(),
            network_id,
            ack,
            participant: participant.clone(),
            timestamp,
            error: None,
        })
    };
    messages().map(one).collect()
}

fn level(kind: &ReceiptType) -> Option<Ack> {
    match kind {
        ReceiptType::Sent => Some(Ack::Server),
        ReceiptType::Delivered | ReceiptType::Inactive => Some(Ack::Device),
        ReceiptType::Read => Some(Ack::Read),
        ReceiptType::Played => Some(Ack::Played),
        _ => None,
    }
}

/// Converts an acknowledgement that no sender waits for. Ignores transient refusals: the outbox has either a
/// result or resends the message.
pub(in super::super) fn from_late_ack(ack: &ServerAck, ids: &Identities, now: Millis) -> Option<EngineEvent> {
    let chat = ids.jid(ack.from.as_ref()?)?;
    let error = ack.error.as_deref().map(send_error);
    if error.as_ref().is_some_and(is_transient) {
        return None;
    }
    Some(EngineEvent::Receipt(IncomingReceipt {
        chat,
        network_id: ack.id.parse().ok()?,
        ack: if error.is_some() { Ack::Error } else { Ack::Server },
        participant: None,
        timestamp: ack.timestamp.map_or(now, |at| Millis(at.timestamp_millis())),
        error,
    }))
}

/// Whether the network may accept the same message later.
pub(in super::super) fn is_transient(error: &SendError) -> bool {
    matches!(error.code, "network_unavailable" | "rate_limited")
}

/// Maps the network's refusal code (463 and others: `whatsapp-rust`, `client/node_io.rs`).
pub(in super::super) fn send_error(code: &str) -> SendError {
    let (code, message) = match code {
        "463" => (
            "reach_out_limited",
            "the network limits messages to people who never wrote to this account (463): answer those who write first, send less, and try again tomorrow",
        ),
        "479" => (
            "message_invalid",
            "the network cannot read the message (479): Wharf or an id in the message is faulty",
        ),
        "400" => ("message_invalid", "the network rejected the message as malformed (400)"),
        "401" | "403" => ("not_allowed", "the network does not allow this account to write there"),
        "404" => ("not_on_network", "the network has no such recipient (404)"),
        "429" => (
            "rate_limited",
            "the network reports that this account sends too much (429): send less and slower",
        ),
        "500" | "503" => {
            ("network_unavailable", "the network could not accept the message; send it again later")
        }
        _ => ("refused_by_network", "the network refused the message"),
    };
    SendError { code, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whatsapp_rust::Jid as NetworkJid;
    use whatsapp_rust::types::message::MessageSource;
    use whatsapp_rust::wacore::chrono::DateTime;

    const ME: &str = "15550100009@s.whatsapp.net";
    const FRIEND: &str = "15550100001:2@s.whatsapp.net";

    fn network(text: &str) -> NetworkJid {
        text.parse().unwrap()
    }

    fn ids() -> Identities {
        Identities::new(Some(&network(ME)), None)
    }

    fn receipt(kind: ReceiptType, chat: &str, sender: &str) -> Receipt {
        let source = MessageSource { chat: network(chat), sender: network(sender), ..Default::default() };
        Receipt::builder()
            .source(source)
            .message_ids(vec!["3EB0A1".into(), "3EB0A2".into()])
            .timestamp(DateTime::from_timestamp(1_700_000_000, 0).unwrap())
            .r#type(kind)
            .offline(false)
            .build()
    }

    fn levels(kind: ReceiptType) -> Vec<(String, i8)> {
        let events = from_receipt(&receipt(kind, FRIEND, FRIEND), &ids());
        events
            .into_iter()
            .map(|event| match event {
                EngineEvent::Receipt(receipt) => {
                    (receipt.network_id.as_str().to_owned(), receipt.ack.level())
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn receipt_kinds_map_to_ack_levels() {
        for (kind, level) in [
            (ReceiptType::Sent, 1),
            (ReceiptType::Delivered, 2),
            (ReceiptType::Inactive, 2),
            (ReceiptType::Read, 3),
            (ReceiptType::Played, 4),
        ] {
            assert_eq!(levels(kind), [("3EB0A1".to_owned(), level), ("3EB0A2".to_owned(), level)]);
        }
    }

    #[test]
    fn receipts_between_clients_are_ignored() {
        for kind in [ReceiptType::Retry, ReceiptType::Sender, ReceiptType::PeerMsg, ReceiptType::HistorySync]
        {
            assert_eq!(levels(kind), []);
        }
    }

    #[test]
    fn participant_is_set_in_groups_only() {
        let group = "120363000000000001@g.us";
        for (chat, participant) in [(group, Some("15550100001@c.us")), (FRIEND, None)] {
            let events = from_receipt(&receipt(ReceiptType::Read, chat, FRIEND), &ids());
            let EngineEvent::Receipt(first) = &events[0] else { panic!("{events:?}") };
            assert_eq!(first.participant.as_ref().map(ToString::to_string).as_deref(), participant);
        }
    }

    #[test]
    fn own_read_receipt_is_read_elsewhere() {
        for events in [
            from_receipt(&receipt(ReceiptType::ReadSelf, FRIEND, ME), &ids()),
            from_receipt(&receipt(ReceiptType::Read, FRIEND, "15550100009:4@s.whatsapp.net"), &ids()),
        ] {
            let [EngineEvent::ReadElsewhere { chat, messages }] = &events[..] else { panic!("{events:?}") };
            assert_eq!((chat.to_string().as_str(), messages.len()), ("15550100001@c.us", 2));
        }
    }

    #[test]
    fn late_transient_refusal_is_ignored() {
        let ack = ServerAck::builder().id("3EB0A1".into()).from(network(FRIEND)).error("503".into()).build();
        assert!(from_late_ack(&ack, &ids(), Millis(5)).is_none());
    }

    #[test]
    fn late_refusal_is_error_receipt() {
        let ack = ServerAck::builder().id("3EB0A1".into()).from(network(FRIEND)).error("463".into()).build();
        let Some(EngineEvent::Receipt(receipt)) = from_late_ack(&ack, &ids(), Millis(5)) else {
            panic!("nothing")
        };
        assert_eq!((receipt.ack, receipt.timestamp), (Ack::Error, Millis(5)));
        assert_eq!(receipt.error.map(|error| error.code), Some("reach_out_limited"));
    }
}
