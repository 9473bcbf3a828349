//! `wharf conversations …`: conversations of devices, direct ones and rooms.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::Client;
use super::exit::CliError;
use super::output::{Output, clean, key_values, short, table, text_of};
use crate::domain::ids::DeviceId;

/// The longest text of a message in a table, in columns.
const MAX_TEXT: usize = 50;

/// `wharf conversations …`
#[derive(Debug, Subcommand)]
pub enum ConversationsCommand {
    /// List conversations, those with the newest messages first
    #[command(visible_alias = "ls", after_help = LIST_HELP)]
    List(ListArgs),
    /// Show a conversation with its newest messages
    Show(ShowArgs),
    /// Assign a conversation to a user of the inbox
    Assign(AssignArgs),
    /// Close a conversation; the next message of the contact opens it
    Close(ConversationArgs),
    /// Open a conversation
    Open(ConversationArgs),
    /// Add an internal note, which is never sent to the contact
    Note(NoteArgs),
}

/// `wharf conversations list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only conversations of this device
    #[arg(long)]
    pub device: Option<DeviceId>,

    /// Only conversations in this state
    #[arg(long, value_enum)]
    pub state: Option<State>,

    /// Only conversations of this user (<identity>:<id>), or `none`
    #[arg(long, value_name = "USER")]
    pub assignee: Option<String>,

    /// Only conversations of this kind
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,

    /// Only conversations with this text in their title or in the name of a participant
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,

    /// The most conversations
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub limit: u8,
}

/// The state of conversations.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum State {
    /// Await an answer or a decision
    Open,
    /// Done until the next message of the contact
    Closed,
}

/// The kind of conversations.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// Of two users
    Direct,
    /// Of many users, with a title
    Room,
    /// Of a chat of a device
    Device,
}

/// The conversation of a command.
#[derive(Debug, Args)]
pub struct ConversationArgs {
    /// The conversation's id
    #[arg(value_name = "CONVERSATION")]
    pub id: u64,
}

/// `wharf conversations show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The conversation's id
    #[arg(value_name = "CONVERSATION")]
    pub id: u64,

    /// The number of messages
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub messages: u8,
}

/// `wharf conversations assign`
#[derive(Debug, Args)]
pub struct AssignArgs {
    /// The conversation's id
    #[arg(value_name = "CONVERSATION")]
    pub id: u64,

    /// The user: <identity>:<id>; `none` removes the assignee
    #[arg(value_name = "USER")]
    pub user: String,
}

/// `wharf conversations note`
#[derive(Debug, Args)]
pub struct NoteArgs {
    /// The conversation's id
    #[arg(value_name = "CONVERSATION")]
    pub id: u64,

    /// The text
    pub text: String,
}

const LIST_HELP: &str = "\
Examples:
  wharf conversations list --state open --assignee none
  wharf conversations list --device shop --json | jq -r '.[].id'";

/// Runs a command.
///
/// # Errors
/// [`CliError`] when the daemon refuses or cannot be reached.
pub async fn run(command: ConversationsCommand, client: &Client, out: &Output) -> Result<(), CliError> {
    match command {
        ConversationsCommand::List(args) => {
            let mut page = client.get(&["conversations"], &query(&args)).await?;
            let more = page["nextCursor"].is_string();
            let found = page["conversations"].take();
            let rows: Vec<_> = found.as_array().into_iter().flatten().map(row).collect();
            out.show(&found, || table(&HEAD, &rows))?;
            if more {
                out.note("There are more; use --limit, or a filter.");
            }
            Ok(())
        }
        ConversationsCommand::Show(args) => show(&args, client, out).await,
        ConversationsCommand::Assign(args) => {
            let user = Some(args.user).filter(|user| user != "none");
            change(client, args.id, "assign", &json!({ "user": user }), out).await
        }
        ConversationsCommand::Close(args) => change(client, args.id, "close", &json!({}), out).await,
        ConversationsCommand::Open(args) => change(client, args.id, "open", &json!({}), out).await,
        ConversationsCommand::Note(args) => {
            let path = ["conversations", &args.id.to_string(), "notes"];
            let note = client.post(&path, &json!({ "content": args.text })).await?;
            out.show(&note, || format!("added note {}", text_of(&note, "id")))
        }
    }
}

fn query(args: &ListArgs) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.device.as_ref().map(|device| ("device", device.to_string())));
    query.extend(args.state.map(|state| {
        let word = match state {
            State::Open => "open",
            State::Closed => "closed",
        };
        ("state", word.to_owned())
    }));
    query.extend(args.kind.map(|kind| {
        let word = match kind {
            Kind::Direct => "direct",
            Kind::Room => "room",
            Kind::Device => "device",
        };
        ("kind", word.to_owned())
    }));
    query.extend(args.search.clone().map(|text| ("search", text)));
    query.extend(args.assignee.clone().map(|user| ("assignee", user)));
    query
}

const HEAD: [&str; 7] = ["ID", "DEVICE", "WITH", "STATE", "ASSIGNEE", "WAITING SINCE", "LAST MESSAGE"];

fn row(conversation: &Value) -> Vec<String> {
    vec![
        text_of(conversation, "id"),
        text_of(conversation, "deviceId"),
        short(&with(conversation), 24),
        text_of(conversation, "state"),
        text_of(&conversation["assignee"], "id"),
        text_of(conversation, "waitingSince"),
        short(&text_of(&conversation["lastMessage"], "content"), MAX_TEXT),
    ]
}

/// The contact of a device conversation, the title of a room, or the names of the participants.
fn with(conversation: &Value) -> String {
    let named = [text_of(&conversation["contact"], "displayName"), text_of(conversation, "title")];
    let participants = conversation["participants"].as_array().into_iter().flatten();
    let names: Vec<_> = participants.map(|user| text_of(user, "displayName")).collect();
    named.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| names.join(", "))
}

async fn show(args: &ShowArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let id = args.id.to_string();
    let mut found = client.get(&["conversations", &id], &[]).await?;
    let query = [("limit", args.messages.to_string())];
    let mut page = client.get(&["conversations", &id, "messages"], &query).await?;
    found["messages"] = page["messages"].take();
    out.show(&found, || details(&found))
}

fn details(conversation: &Value) -> String {
    let mut text = key_values(&[
        ("id", text_of(conversation, "id")),
        ("device", text_of(conversation, "deviceId")),
        ("with", with(conversation)),
        ("state", text_of(conversation, "state")),
        ("assignee", text_of(&conversation["assignee"], "id")),
        ("waiting since", text_of(conversation, "waitingSince")),
        ("first response", text_of(conversation, "firstResponseAt")),
        ("answered by", text_of(&conversation["answeredBy"], "id")),
    ]);
    text.push('\n');
    // The API has the newest first; a conversation is read from top to bottom.
    for message in conversation["messages"].as_array().into_iter().flatten().rev() {
        let author = match message["author"].is_null() {
            true => text_of(&message["sender"], "displayName"),
            false => text_of(&message["author"], "name"),
        };
        let content = clean(&text_of(message, "content"));
        let line = format!("{}  {author}: {content}", text_of(message, "createdAt"));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

async fn change(client: &Client, id: u64, action: &str, body: &Value, out: &Output) -> Result<(), CliError> {
    let changed = client.post(&["conversations", &id.to_string(), action], body).await?;
    out.show(&changed, || table(&HEAD, &[row(&changed)]))
}
