//! The benches, one file for each kind of load.

mod chat;
mod fanout;
mod growth;
mod messages;
mod reads;
mod sockets;
mod start;
mod webhooks;

use crate::Context;
use crate::figures::{Figures, Unit};
use crate::meter::Use;

/// A bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Bench {
    /// Events to many dashboards
    Fanout,
    /// Messages sent until they are read
    Send,
    /// Messages that come in
    Inbound,
    /// Chats, a page of messages, status and health
    Read,
    /// Full-text search
    Search,
    /// Connecting sockets
    Connect,
    /// Acknowledged requests of sockets
    Echo,
    /// Memory of idle sockets and devices
    Idle,
    /// Start with many devices and messages
    Start,
    /// Signed deliveries to a local receiver
    Webhooks,
    /// Cost by the number of stored messages
    Growth,
    /// Operator chat: rooms, sends and bridged devices
    Chat,
}

impl Bench {
    /// All of them, in the order of the document.
    pub const ALL: [Self; 12] = [
        Self::Fanout,
        Self::Send,
        Self::Inbound,
        Self::Read,
        Self::Search,
        Self::Connect,
        Self::Echo,
        Self::Idle,
        Self::Start,
        Self::Webhooks,
        Self::Growth,
        Self::Chat,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fanout => "fanout",
            Self::Send => "send",
            Self::Inbound => "inbound",
            Self::Read => "read",
            Self::Search => "search",
            Self::Connect => "connect",
            Self::Echo => "echo",
            Self::Idle => "idle",
            Self::Start => "start",
            Self::Webhooks => "webhooks",
            Self::Growth => "growth",
            Self::Chat => "chat",
        }
    }

    /// The heading of its section.
    pub fn title(self) -> &'static str {
        match self {
            Self::Fanout => "events to many dashboards",
            Self::Send => "messages sent until they are read",
            Self::Inbound => "messages that come in",
            Self::Read => "chats, a page of 50 messages, status and health",
            Self::Search => "full-text search, 20 results",
            Self::Connect => "connecting sockets",
            Self::Echo => "acknowledged requests of sockets",
            Self::Idle => "memory of idle sockets and devices",
            Self::Start => "start with many devices and messages",
            Self::Webhooks => "signed deliveries to a local receiver",
            Self::Growth => "cost by the number of stored messages",
            Self::Chat => "operator chat: rooms, sends and bridged devices",
        }
    }

    /// Runs the bench.
    pub async fn run(self, context: &Context, figures: &mut Figures) {
        match self {
            Self::Fanout => fanout::run(context, figures).await,
            Self::Send => messages::send(context, figures).await,
            Self::Inbound => messages::inbound(context, figures).await,
            Self::Read => reads::read(context, figures).await,
            Self::Search => reads::search(context, figures).await,
            Self::Connect => sockets::connect(context, figures).await,
            Self::Echo => sockets::echo(context, figures).await,
            Self::Idle => sockets::idle(context, figures).await,
            Self::Start => start::run(context, figures).await,
            Self::Webhooks => webhooks::run(context, figures).await,
            Self::Growth => growth::run(context, figures).await,
            Self::Chat => chat::run(context, figures).await,
        }
    }
}

/// Adds the shares of load and of other programs, which say how much the figures can be trusted.
fn add_shares(figures: &mut Figures, column: &str, used: &Use) {
    figures.add("load, of its processor", Unit::Percent, column, used.load_percent());
    figures.add("other programs, of one processor", Unit::Percent, column, used.others_percent());
}
