//! `wharf config …`: validates and shows the configuration that the daemon would use.

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::CliError;
use super::output::Output;
use super::{Globals, environment_variable};
use crate::settings::load_declared;

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

fn show(globals: &Globals, out: &Output) -> Result<(), CliError> {
    let text = globals.settings()?.effective_toml_masked()?;
    let data: Value = toml::from_str(&text).map_err(|error| CliError::Failed(error.to_string()))?;
    out.show(&data, || text)
}
