//! `wharf config …`: validates and shows the configuration that the daemon would use.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::CliError;
use super::output::Output;
use super::{Globals, environment_variable};
use crate::domain::operator_chat::inbox::{Grantee, InboxRights};
use crate::domain::operator_chat::user::PLAIN_TENANT;
use crate::settings::{DeclaredDevice, Settings, load_declared};

/// `wharf config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check whether the daemon would start with this configuration
    #[command(
        after_help = "Reads --config (or WHARF_CONFIG), the environment (WHARF__SECTION__KEY) and the declared devices."
    )]
    Check,
    /// Print the configuration in effect as TOML, secrets masked
    Show,
}

/// Runs a command.
///
/// # Errors
/// [`CliError::Settings`] or [`CliError::Usage`], one line with key, value and source.
pub fn run(command: &ConfigCommand, globals: &Globals, out: &Output) -> Result<(), CliError> {
    match command {
        ConfigCommand::Check => check(globals, out),
        ConfigCommand::Show => show(globals, out),
    }
}

fn check(globals: &Globals, out: &Output) -> Result<(), CliError> {
    let settings = globals.settings()?;
    let dir = &settings.devices.dir;
    let devices =
        load_declared(dir, &environment_variable).map_err(|error| CliError::Usage(error.to_string()))?;
    for device in &devices {
        if let Some(name) = settings.notify.unknown_command(&device.notify) {
            let file = device.file.display();
            return Err(CliError::Usage(format!(
                "{file}: a rule of notify names the command {name:?}, which is none of notify.commands"
            )));
        }
    }
    check_inbox_grants(&settings, &devices)?;
    let data = json!({ "valid": true, "declaredDevices": devices.len() });
    out.show(&data, || match dir.is_dir() {
        true => {
            format!("The configuration is valid; declared devices in {}: {}", dir.display(), devices.len())
        }
        false => {
            format!(
                "The configuration is valid; there is no directory {}, so no device is declared",
                dir.display()
            )
        }
    })
}

/// Checks that the grants of device files name configured identities. While operator chat is off they have no effect.
fn check_inbox_grants(settings: &Settings, devices: &[DeclaredDevice]) -> Result<(), CliError> {
    if !settings.chat.is_active() {
        return Ok(());
    }
    let plain = settings.chat.allow_plain_tokens.then_some(PLAIN_TENANT);
    let configured = settings.chat.identities.iter().map(|identity| identity.name.as_str());
    let tenants: Vec<&str> = configured.chain(plain).collect();
    for device in devices {
        for (index, grant) in device.inbox_grants.iter().enumerate() {
            let who = Grantee::parse(&grant.who, &tenants).map(|_| ());
            let who = who.map_err(|error| format!("who {error}, not {:?}", grant.who));
            let rights = grant.rights.parse::<InboxRights>().map(|_| ());
            let rights = rights.map_err(|error| format!("rights {error}, not {:?}", grant.rights));
            let named =
                |what| CliError::Usage(format!("{}: chat.operators[{index}]: {what}", device.file.display()));
            who.and(rights).map_err(named)?;
        }
    }
    Ok(())
}

fn show(globals: &Globals, out: &Output) -> Result<(), CliError> {
    let text = globals.settings()?.effective_toml_masked()?;
    let data: Value = toml::from_str(&text).map_err(|error| CliError::Failed(error.to_string()))?;
    out.show(&data, || text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(operators: &str) -> Result<(), String> {
        let dir = tempfile::tempdir().unwrap();
        let file = format!("id = \"shop\"\nengine = \"simulator\"\n{operators}");
        std::fs::write(dir.path().join("shop.toml"), file).unwrap();
        let devices = load_declared(dir.path(), &|_| None).unwrap();
        let env = [
            ("WHARF__CHAT__ENABLED", "true"),
            (
                "WHARF__CHAT__IDENTITIES",
                r#"[{ "name": "desk", "jwks_url": "https://keys.example/jwks" }, { "name": "shop", "jwks_url": "https://keys.example/jwks" }]"#,
            ),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::load(None, env).unwrap();
        check_inbox_grants(&settings, &devices).map_err(|error| error.to_string())
    }

    #[test]
    fn grants_of_device_files_name_configured_identities() {
        assert_eq!(checked("[[chat.operators]]\nwho = \"desk:anna\"\n"), Ok(()));
        for (operators, reason) in [
            ("[[chat.operators]]\nwho = \"anna\"\n", "chat.operators[0]: who must be <identity>:<user id>"),
            ("[[chat.operators]]\nwho = \"sales:anna\"\n", "not \"sales:anna\""),
            (
                "[[chat.operators]]\nwho = \"desk:anna\"\nrights = \"own\"\n",
                "rights must be read, reply or manage, not \"own\"",
            ),
        ] {
            let refused = checked(operators).unwrap_err();
            assert!(refused.contains(reason) && refused.contains("shop.toml"), "{refused}");
        }
    }
}
