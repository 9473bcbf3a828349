//! `wharf chat …`: user tokens of operator chat, signed with the secret of the configuration.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::exit::CliError;
use super::output::Output;
use super::time_format::parse_duration_ms;
use super::{Globals, environment_variable};
use crate::domain::clock::Clock;
use crate::settings::IdentitySettings;

/// `wharf chat …`
#[derive(Debug, Subcommand)]
pub enum ChatCommand {
    /// Sign a user token with the identity's shared secret
    #[command(
        after_help = "Example:\n  wharf chat token --identity desk --user anna --role support --ttl 1h"
    )]
    Token(TokenArgs),
}

/// `wharf chat token`
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The identity of [[chat.identities]]; optional while there is one
    #[arg(long, value_name = "NAME")]
    pub identity: Option<String>,

    /// The id of the user
    #[arg(long, value_name = "ID")]
    pub user: String,

    /// The name to show
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// The role of the user
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,

    /// Lifetime of the token: 90s, 15m, 12h, 30d or 4w
    #[arg(long, value_parser = parse_duration_ms, value_name = "DURATION", default_value = "1h")]
    pub ttl: i64,
}

/// Runs a command.
///
/// # Errors
/// [`CliError::Settings`] or [`CliError::Usage`] if there is no such identity, or it has no shared secret.
pub fn run(
    command: &ChatCommand,
    globals: &Globals,
    clock: &dyn Clock,
    out: &Output,
) -> Result<(), CliError> {
    let ChatCommand::Token(args) = command;
    let settings = globals.settings()?;
    let identities = &settings.chat.identities;
    let found = match &args.identity {
        Some(name) => identities.iter().find(|identity| identity.name == *name),
        None => identities.first().filter(|_| identities.len() == 1),
    };
    let usage = |sentence: &str| CliError::Usage(sentence.to_owned());
    let identity = found.ok_or_else(|| usage("name an identity of [[chat.identities]] with --identity"))?;
    let token = sign(identity, args, clock.now().0 / 1000)?;
    out.show(&json!({ "token": token }), || token.clone())
}

fn sign(identity: &IdentitySettings, args: &TokenArgs, now_s: i64) -> Result<String, CliError> {
    let usage = |sentence: String| CliError::Usage(sentence);
    let secret = secret(identity).ok_or_else(|| {
        usage(format!(
            "the identity {:?} has no jwt_secret; with another key, tokens and cookies come from its issuer",
            identity.name
        ))
    })?;
    let mut claims: BTreeMap<&str, Value> = BTreeMap::new();
    let names = [&identity.user_claim, &identity.name_claim, &identity.role_claim];
    let values = [Some(&args.user), args.name.as_ref(), args.role.as_ref()];
    for (names, value) in names.into_iter().zip(values) {
        if let (Some(name), Some(value)) = (names.first(), value) {
            claims.insert(name, value.as_str().into());
        }
    }
    for (claim, value) in [("iss", &identity.issuer), ("aud", &identity.audience)] {
        if !value.is_empty() {
            claims.insert(claim, value.as_str().into());
        }
    }
    claims.insert("iat", now_s.into());
    claims.insert("exp", (now_s + (args.ttl / 1000).max(1)).into());
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
        .map_err(|error| CliError::Failed(error.to_string()))
}

/// The shared secret. While chat is disabled, the settings contain only its reference.
fn secret(identity: &IdentitySettings) -> Option<String> {
    let text = identity.jwt_secret.expose();
    let reference = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    match reference {
        Some(name) => environment_variable(name),
        None => (!text.is_empty()).then(|| text.to_owned()),
    }
}
