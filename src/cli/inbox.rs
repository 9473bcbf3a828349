//! `wharf inbox …`: who may use the conversations of a device.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::Client;
use super::exit::CliError;
use super::output::{Output, table, text_of};
use crate::domain::ids::DeviceId;

/// `wharf inbox …`
#[derive(Debug, Subcommand)]
pub enum InboxCommand {
    /// List the users and roles that may use the inbox of a device
    Show(ShowArgs),
    /// Grant access to the inbox of a device, or change the rights of a grant
    #[command(after_help = GRANT_HELP)]
    Grant(GrantArgs),
    /// Revoke a grant; the user gets nothing of the inbox from then on
    Revoke(RevokeArgs),
}

/// `wharf inbox show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The device
    pub device: DeviceId,
}

/// `wharf inbox grant`
#[derive(Debug, Args)]
pub struct GrantArgs {
    /// The device
    pub device: DeviceId,

    /// <identity>:<user id>, or <identity>:role:<role>
    #[arg(value_name = "WHO")]
    pub who: String,

    /// What they may do
    #[arg(long, value_enum, default_value_t = Rights::Reply)]
    pub rights: Rights,
}

/// `wharf inbox revoke`
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The device
    pub device: DeviceId,

    /// The grant, as `wharf inbox show` prints it
    #[arg(value_name = "WHO")]
    pub who: String,
}

/// The rights of a grant.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Rights {
    /// Read conversations
    Read,
    /// Also send messages and claim conversations
    Reply,
    /// Also assign others
    Manage,
}

const GRANT_HELP: &str = "\
The device needs conversations: settings.chat.bridge = \"people\".

Examples:
  wharf inbox grant shop desk:anna
  wharf inbox grant shop desk:role:support --rights read";

impl Rights {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Reply => "reply",
            Self::Manage => "manage",
        }
    }
}

/// Runs a command.
///
/// # Errors
/// [`CliError`] when the daemon refuses or cannot be reached, or there is no such grant.
pub async fn run(command: InboxCommand, client: &Client, out: &Output) -> Result<(), CliError> {
    match command {
        InboxCommand::Show(args) => {
            let grants = grants(client, &args.device).await?;
            let text = grant_table(&grants);
            out.show(&grants.into(), || text)
        }
        InboxCommand::Grant(args) => {
            let mut grants = grants(client, &args.device).await?;
            grants.retain(|grant| grant["who"] != args.who.as_str() || grant["source"].is_string());
            grants.push(json!({ "who": args.who, "rights": args.rights.word() }));
            replace(client, &args.device, grants, out).await
        }
        InboxCommand::Revoke(args) => {
            let mut grants = grants(client, &args.device).await?;
            if grants.iter().any(|grant| is_elsewhere(grant, &args.who)) {
                let sentence =
                    format!("{} is declared in the file of {}; remove it there", args.who, args.device);
                return Err(CliError::Usage(sentence));
            }
            let count = grants.len();
            grants.retain(|grant| grant["who"] != args.who.as_str());
            if grants.len() == count {
                let sentence = format!("the inbox of {} has no grant for {}", args.device, args.who);
                return Err(CliError::Usage(sentence));
            }
            replace(client, &args.device, grants, out).await
        }
    }
}

async fn grants(client: &Client, device: &DeviceId) -> Result<Vec<Value>, CliError> {
    let mut answer = client.get(&["devices", device.as_str(), "operators"], &[]).await?;
    match answer.get_mut("operators").map(Value::take) {
        Some(Value::Array(grants)) => Ok(grants),
        _ => Ok(Vec::new()),
    }
}

async fn replace(
    client: &Client,
    device: &DeviceId,
    grants: Vec<Value>,
    out: &Output,
) -> Result<(), CliError> {
    let body = json!({ "operators": grants });
    let stored = client.put(&["devices", device.as_str(), "operators"], &body).await?;
    let grants = stored["operators"].as_array().cloned().unwrap_or_default();
    out.show(&stored, || grant_table(&grants))
}

/// Whether a grant of this user or role comes from a device file or a token.
fn is_elsewhere(grant: &Value, who: &str) -> bool {
    grant["who"] == who && grant["source"].is_string()
}

fn grant_table(grants: &[Value]) -> String {
    let row = |grant: &Value| {
        let source = text_of(grant, "source");
        let source = if source.is_empty() { "api".to_owned() } else { source };
        vec![text_of(grant, "who"), text_of(grant, "rights"), source]
    };
    table(&["WHO", "RIGHTS", "SOURCE"], &grants.iter().map(row).collect::<Vec<_>>())
}
