//! `wharf keys …`: creates, lists and revokes API keys.

mod first;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::Globals;
use super::client::Client;
use super::exit::CliError;
use super::output::{Output, moment_of, short, table, text_of};
use super::time_format::{moment, parse_duration_ms};
use crate::domain::access::Scope;
use crate::domain::clock::Clock;
use crate::domain::ids::DeviceId;

/// `wharf keys …`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Create a key; it is shown only once
    #[command(after_help = CREATE_HELP)]
    Create(CreateArgs),
    /// Print the key that the daemon wrote to admin.key in its data directory at its first start
    First,
    /// List the keys, without their secrets
    #[command(visible_alias = "ls")]
    List,
    /// Revoke a key; connections that use it are closed immediately
    Revoke(RevokeArgs),
}

/// `wharf keys create`
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Name of the key, such as its user or purpose
    #[arg(long)]
    pub name: String,

    /// Scopes of the key, separated by commas
    #[arg(long, required = true, value_delimiter = ',', value_parser = scope, value_name = "SCOPES")]
    pub scopes: Vec<Scope>,

    /// The devices it may use, separated by commas; all if left out
    #[arg(long, value_delimiter = ',', value_name = "DEVICES")]
    pub devices: Vec<DeviceId>,

    /// Lifetime: 90s, 15m, 12h, 30d or 4w; unlimited if left out
    #[arg(long, value_parser = parse_duration_ms, value_name = "DURATION")]
    pub expires_in: Option<i64>,
}

/// `wharf keys revoke`
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The key's id: the part between whf_ and the secret
    #[arg(value_name = "KEY-ID", value_parser = key_id)]
    pub id: String,

    /// Also revoke the keys that it created, directly or through other keys
    #[arg(long)]
    pub with_descendants: bool,
}

const CREATE_HELP: &str = "\
Scopes:
  devices:read   see devices and their QR codes
  devices:write  create, change, start, stop and delete devices
  messages:read  read messages, chats and contacts
  messages:send  send and change messages, change and clear chats and groups, import
  events:read    follow the events, over REST, SSE and Socket.IO
  admin          everything, keys included

Examples:
  wharf keys create --name dashboard --scopes devices:read,messages:read,messages:send,events:read
  wharf keys create --name shop --scopes messages:send --devices shop --expires-in 30d";

fn scope(text: &str) -> Result<Scope, String> {
    let known = || Scope::ALL.map(Scope::as_str).join(", ");
    Scope::ALL
        .into_iter()
        .find(|scope| scope.as_str() == text)
        .ok_or_else(|| format!("a scope is one of {}", known()))
}

/// Parses a key id. Rejects a whole key, so that no secret becomes part of a URL.
fn key_id(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("whf_").unwrap_or(text);
    if id.contains('_') {
        return Err("give the id only: the part between whf_ and the second underscore".to_owned());
    }
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err("a key id has letters, digits and - only".to_owned());
    }
    Ok(id.to_owned())
}

/// Runs a command.
///
/// # Errors
/// [`CliError`] when the daemon refuses or cannot be reached.
pub async fn run(
    command: KeysCommand,
    globals: &Globals,
    clock: &dyn Clock,
    out: &Output,
) -> Result<(), CliError> {
    match command {
        KeysCommand::Create(args) => create(args, &globals.client()?, clock, out).await,
        KeysCommand::First => {
            let given = globals.given_key().map_err(|error| CliError::Usage(error.to_string()))?;
            let from_environment = given.is_some();
            first::run(&globals.settings()?.store.data_dir, from_environment, out)
        }
        KeysCommand::List => {
            let keys = globals.client()?.get_list(&["api-keys"]).await?;
            let text = key_table(&keys);
            out.show(&keys.into(), || text)
        }
        KeysCommand::Revoke(args) => {
            let query = args.with_descendants.then(|| ("withDescendants", "true".to_owned()));
            let client = globals.client()?;
            let answer = client.delete(&["api-keys", &args.id], query.as_slice()).await?;
            out.show(&answer, || format!("{}: revoked", args.id))
        }
    }
}

async fn create(args: CreateArgs, client: &Client, clock: &dyn Clock, out: &Output) -> Result<(), CliError> {
    let mut body = Map::new();
    body.insert("name".to_owned(), args.name.into());
    let scopes: Vec<Value> = args.scopes.iter().map(|scope| scope.as_str().into()).collect();
    body.insert("scopes".to_owned(), scopes.into());
    if !args.devices.is_empty() {
        let devices: Vec<Value> = args.devices.iter().map(|id| id.as_str().into()).collect();
        body.insert("devices".to_owned(), devices.into());
    }
    if let Some(ms) = args.expires_in {
        body.insert("expiresAt".to_owned(), clock.now().plus(ms).0.into());
    }
    let created = client.post(&["api-keys"], &body.into()).await?;
    out.show(&created, || text_of(&created, "key"))?;
    out.note("Save the key: it is not shown again. Clients send it as the header X-API-KEY.");
    if let Some(end) = created.get("expiresAt").and_then(Value::as_i64) {
        out.note(&format!("It ends on {}.", moment(end)));
    }
    Ok(())
}

fn key_table(keys: &[Value]) -> String {
    let row = |key: &Value| {
        let devices = text_of(key, "devices");
        vec![
            text_of(key, "id"),
            short(&text_of(key, "name"), 30),
            text_of(key, "scopes"),
            match key.get("devices").and_then(Value::as_array) {
                None => "all".to_owned(),
                Some(none) if none.is_empty() => "none".to_owned(),
                Some(_) => devices,
            },
            text_of(key, "createdBy"),
            moment_of(key, "createdAt"),
            key.get("expiresAt").and_then(Value::as_i64).map_or_else(|| "never".to_owned(), moment),
            moment_of(key, "lastUsedAt"),
        ]
    };
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    table(&["ID", "NAME", "SCOPES", "DEVICES", "BY", "CREATED", "ENDS", "LAST USED"], &rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn key_secret_is_not_accepted_as_id() {
        assert_eq!(key_id("whf_AB12").as_deref(), Ok("AB12"));
        assert_eq!(key_id("AB12").as_deref(), Ok("AB12"));
        for text in ["whf_AB12_secret", "", "..", "a/b"] {
            assert!(key_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_are_printed_as_table() {
        let text = key_table(&[json!({
            "id": "AB", "name": "shop", "scopes": ["messages:send"], "devices": null, "createdBy": "CD", "createdAt": 0, "expiresAt": null
        })]);
        let line = text.lines().nth(1).unwrap();
        assert_eq!(line, "AB  shop  messages:send  all      CD  1970-01-01 00:00:00Z  never  -");
    }
}
