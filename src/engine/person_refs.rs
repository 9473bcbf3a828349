//! The people that messages and events of engines refer to.
//!
//! Visitors may replace each id, for example a hidden id by a phone number.

use super::{EngineEvent, Incoming, IncomingChange, IncomingReceipt, Quoted};
use crate::domain::identity::ReferencesPeople;
use crate::domain::jid::Jid;

type PersonVisitor<'a> = &'a mut dyn FnMut(&mut Jid);

impl ReferencesPeople for Incoming {
    fn each_person(&mut self, visit: PersonVisitor<'_>) {
        visit(&mut self.chat);
        visit(&mut self.from);
        self.quoted.each_person(visit);
        self.mentions.each_person(visit);
    }
}

impl ReferencesPeople for Quoted {
    fn each_person(&mut self, visit: PersonVisitor<'_>) {
        self.id.each_person(visit);
        visit(&mut self.author);
    }
}

impl ReferencesPeople for IncomingReceipt {
    fn each_person(&mut self, visit: PersonVisitor<'_>) {
        visit(&mut self.chat);
        self.participant.each_person(visit);
    }
}

impl ReferencesPeople for IncomingChange {
    fn each_person(&mut self, visit: PersonVisitor<'_>) {
        match self {
            Self::Reaction { id, from, .. } => {
                id.each_person(visit);
                visit(from);
            }
            Self::Vote { id, voter, .. } => {
                id.each_person(visit);
                visit(voter);
            }
            Self::Edited { id, .. }
            | Self::Revoked { id }
            | Self::Starred { id, .. }
            | Self::DeletedForMe { id } => id.each_person(visit),
        }
    }
}

impl ReferencesPeople for EngineEvent {
    fn each_person(&mut self, visit: PersonVisitor<'_>) {
        match self {
            Self::Message(message) => message.each_person(visit),
            Self::History(messages) => messages.each_person(visit),
            Self::PastChanges(changes) => changes.each_person(visit),
            Self::Receipt(receipt) => receipt.each_person(visit),
            Self::Typing { chat, from, .. } => {
                visit(chat);
                visit(from);
            }
            Self::Presence { contact, .. } => visit(contact),
            Self::Contacts(updates) => updates.each_person(visit),
            Self::ReadElsewhere { chat, .. }
            | Self::ChatName { chat, .. }
            | Self::Chat { chat, .. }
            | Self::PastChatChange { chat, .. } => visit(chat),
            Self::MessageChange(change) => change.each_person(visit),
            Self::Groups { groups, .. } => groups.each_person(visit),
            Self::GroupChanged { participants, author, .. } => {
                participants.each_person(visit);
                author.each_person(visit);
            }
            Self::Call { from, .. } => visit(from),
            Self::MediaFetched { id, .. } => id.each_person(visit),
            Self::Code { .. }
            | Self::PasskeyRequested { .. }
            | Self::PasskeySigned { .. }
            | Self::Scanned(_)
            | Self::Opened(_)
            | Self::HistoryProgress { .. }
            | Self::Latency { .. } => {}
        }
    }
}
