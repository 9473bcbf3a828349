//! Ids of chats and people, to the network. From it they come through [`Identities`], which knows who is who.
//!
//! [`Identities`]: super::identities::Identities

use whatsapp_rust::{Jid as NetworkJid, Server};

use crate::domain::jid::{Jid, JidKind};

/// The network's id for a chat or a person.
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

/// A chat's or a person's id as the network wrote it; one device of a person is that person. `None` for what the
/// API has no name for: bots, broadcast lists, other networks.
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
    fn ids_go_there_and_back() {
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
    fn a_device_of_a_person_is_that_person() {
        let device: NetworkJid = "15550100001:7@s.whatsapp.net".parse().unwrap();
        assert_eq!(as_written(&device).map(|jid| jid.to_string()).as_deref(), Some("15550100001@c.us"));
    }

    #[test]
    fn what_has_no_name_here_is_none() {
        for text in ["867051314767696@bot", "15550100001@broadcast", "s.whatsapp.net"] {
            let jid: NetworkJid = text.parse().unwrap();
            assert_eq!(as_written(&jid), None, "{text}");
        }
    }
}
