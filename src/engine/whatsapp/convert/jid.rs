//! Converts ids of chats and people to the network's format. The other direction is [`Identities::jid`],
//! which resolves hidden ids.
//!
//! [`Identities::jid`]: super::identities::Identities::jid

use whatsapp_rust::{Jid as NetworkJid, Server};

use crate::domain::jid::{Jid, JidKind};

/// The network's id of a chat or person.
pub(in super::super) fn to_network(jid: &Jid) -> NetworkJid {
    let server = match jid.kind() {
        JidKind::Person => Server::Pn,
        JidKind::Group => Server::Group,
        JidKind::Lid => Server::Lid,
        JidKind::Status => Server::Broadcast,
        JidKind::Newsletter => Server::Newsletter,
    };
    NetworkJid::new(jid.user(), server)
}

/// An id without resolving it, and without its device. `None` for bots, broadcast lists and other networks,
/// which the API does not support.
pub(super) fn as_written(jid: &NetworkJid) -> Option<Jid> {
    let server = match jid.server {
        Server::Pn | Server::Hosted => "c.us",
        Server::Lid | Server::HostedLid => "lid",
        Server::Group => "g.us",
        Server::Broadcast => "broadcast",
        Server::Newsletter => "newsletter",
        _ => return None,
    };
    format!("{}@{server}", jid.user_base()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip() {
        for text in [
            "15550100001@c.us",
            "120363000000000001@g.us",
            "100000000000001@lid",
            "status@broadcast",
            "120363000000000002@newsletter",
        ] {
            let jid: Jid = text.parse().unwrap();
            assert_eq!(as_written(&to_network(&jid)), Some(jid), "{text}");
        }
    }

    #[test]
    fn device_id_becomes_person_id() {
        let device: NetworkJid = "15550100001:7@s.whatsapp.net".parse().unwrap();
        assert_eq!(as_written(&device).map(|jid| jid.to_string()).as_deref(), Some("15550100001@c.us"));
    }

    #[test]
    fn unsupported_ids_are_none() {
        for text in ["867051314767696@bot", "15550100001@broadcast", "s.whatsapp.net"] {
            let jid: NetworkJid = text.parse().unwrap();
            assert_eq!(as_written(&jid), None, "{text}");
        }
    }
}
