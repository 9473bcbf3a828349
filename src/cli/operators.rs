//! `wharf operators …`: the users of operator chat.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, ClientError};
use super::exit::CliError;
use super::output::{Output, key_values, short, table, text_of};

/// Users of a page.
const PAGE: &str = "100";
/// The most users that one command lists.
const MAX_USERS: usize = 100_000;

/// `wharf operators …`
#[derive(Debug, Subcommand)]
pub enum OperatorsCommand {
    /// List the users
    #[command(visible_alias = "ls")]
    List,
    /// Show a user and its presence
    Show(OperatorArgs),
    /// Refuse all tokens of a user that were issued before now, and close its sockets
    Revoke(OperatorArgs),
}

/// The user of a command.
#[derive(Debug, Args)]
pub struct OperatorArgs {
    /// The user: <identity>:<id>; the identity is optional while there is one
    #[arg(value_name = "USER")]
    pub user: String,
}

/// Runs a command.
///
/// # Errors
/// [`CliError`] when the daemon refuses or cannot be reached.
pub async fn run(command: OperatorsCommand, client: &Client, out: &Output) -> Result<(), CliError> {
    match command {
        OperatorsCommand::List => {
            let users = all(client).await?;
            let text = user_table(&users);
            out.show(&users.into(), || text)
        }
        OperatorsCommand::Show(args) => {
            let mut user = client.get(&["operators", &args.user], &[]).await?;
            let presence = client.get(&["operators", &args.user, "presence"], &[]).await?;
            user["presence"] = presence;
            out.show(&user, || details(&user))
        }
        OperatorsCommand::Revoke(args) => {
            let revoked = client.post(&["operators", &args.user, "revoke"], &json!({})).await?;
            out.show(&revoked, || format!("{}: tokens revoked", args.user))
        }
    }
}

async fn all(client: &Client) -> Result<Vec<Value>, ClientError> {
    let mut users: Vec<Value> = Vec::new();
    let mut cursor = None;
    loop {
        let mut query = vec![("limit", PAGE.to_owned())];
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let mut page = client.get(&["operators"], &query).await?;
        if let Some(Value::Array(rows)) = page.get_mut("operators").map(Value::take) {
            users.extend(rows);
        }
        cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() || users.len() >= MAX_USERS {
            return Ok(users);
        }
    }
}

fn user_table(users: &[Value]) -> String {
    let row = |user: &Value| {
        vec![
            text_of(user, "id"),
            short(&text_of(user, "displayName"), 30),
            text_of(user, "role"),
            text_of(user, "email"),
        ]
    };
    table(&["ID", "NAME", "ROLE", "EMAIL"], &users.iter().map(row).collect::<Vec<_>>())
}

fn details(user: &Value) -> String {
    let presence = &user["presence"];
    let online = if presence["online"] == true { "yes" } else { "no" };
    key_values(&[
        ("id", text_of(user, "id")),
        ("name", text_of(user, "displayName")),
        ("role", text_of(user, "role")),
        ("email", text_of(user, "email")),
        ("online", online.to_owned()),
        ("sockets", text_of(presence, "sockets")),
        ("last seen", text_of(presence, "lastSeen")),
    ])
}
