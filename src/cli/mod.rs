//! The command line: its arguments, and the commands that use a running daemon.
//!
//! - This file has the types that clap parses into, and [`run`] for all [`ClientCommand`]s.
//! - [`exit`] has the exit codes, [`output`] all printing, [`client`] the HTTP client.
//! - [`api_key`] selects the API key, [`time_format`] has times and durations, `event_line` formats events.
//! - Each other file has one group of commands; [`qr`] belongs to [`devices`].
//!
//! Invariants: only `output` writes to standard output and standard error; text from the network is stripped
//! of control characters before it reaches a terminal; a key from a file is only sent to this machine.

pub mod api_key;
pub mod backup;
pub mod chat;
pub mod client;
pub mod completions;
pub mod config;
pub mod conversations;
pub mod devices;
pub mod doctor;
pub mod exit;
pub mod health;
pub mod inbox;
pub mod keys;
pub mod man;
pub mod notify;
pub mod openapi;
pub mod operators;
pub mod output;
pub mod passkey;
pub mod qr;
pub mod send;
pub mod sim;

mod event_line;
pub mod tail;
pub mod time_format;
pub mod webhooks;
pub mod whoami;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::domain::clock::Clock;
use crate::settings::{
    Secret, SecretFileError, Settings, SettingsError, process_environment, secret_variable,
};

use client::Client;
use exit::CliError;
use output::Output;

const DEFAULT_URL: &str = "http://127.0.0.1:3000";
const API_KEY: &str = "WHARF_API_KEY";

const LONG_ABOUT: &str = "\
Wharf keeps many messaging devices (linked accounts) connected in one small daemon, and lets programs \
send and receive through them over REST, server-sent events and Socket.IO.

`wharf serve` is the daemon, and the default command. Most other commands need a running daemon.";

const EXAMPLES: &str = "\
First steps, with a simulated phone:
  wharf serve                                        start the daemon (leave it running)
  wharf devices create --id demo --engine simulator  create a device, in another terminal
  wharf devices qr demo                              show the code that a phone would scan
  wharf sim scan demo                                let the simulated phone scan it
  wharf tail demo                                    watch what happens on the device
  wharf send demo 15550100001 \"hello\"                send a message

In scripts:
  wharf devices list --json
  wharf send demo 15550100001 \"hello\" --idempotency-key order-17 --wait delivered
  wharf keys create --name shop --scopes messages:send,events:read --devices demo

Something does not work?
  wharf doctor

Exit codes: 0 done, 1 error from the daemon, 2 wrong usage or configuration, 3 daemon not reachable,
4 not authorised, 5 not found, 6 not possible now (wrong state or conflict), 7 busy: try again later.";

/// The complete command line.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, about, long_about = LONG_ABOUT, after_help = EXAMPLES)]
#[command(disable_help_subcommand = true, max_term_width = 110)]
pub struct Cli {
    /// Options of all commands.
    #[command(flatten)]
    pub globals: Globals,
    /// The command; without one, [`Command::Serve`].
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// The global options and the command; `serve` if none is given.
    #[must_use]
    pub fn into_parts(self) -> (Globals, Command) {
        (self.globals, self.command.unwrap_or_else(|| Command::Serve(ServeArgs::default())))
    }
}

/// Options of all commands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// URL of the daemon
    #[arg(long, global = true, env = "WHARF_URL", default_value = DEFAULT_URL, value_name = "URL")]
    pub url: String,

    /// API key; without it the data directory's admin.key is used, for a daemon on this machine
    #[arg(long, global = true, env = "WHARF_API_KEY", hide_env_values = true, value_name = "KEY", value_parser = secret)]
    pub key: Option<Secret>,

    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,

    /// Configuration file (TOML); see `wharf config show` for all keys
    #[arg(long, global = true, env = "WHARF_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Data directory, instead of the one in the configuration
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl Globals {
    /// Loads the settings: defaults, then `--config`, then the environment, then `--data-dir`.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn settings(&self) -> Result<Settings, SettingsError> {
        let mut settings = Settings::load(self.config.as_deref(), process_environment())?;
        if let Some(dir) = &self.data_dir {
            settings.store.data_dir.clone_from(dir);
            settings.set_by_option("store.data_dir", "--data-dir");
        }
        Ok(settings)
    }

    /// The key of `--key`, `WHARF_API_KEY` or the file of `WHARF_API_KEY_FILE`; an empty key counts as absent.
    ///
    /// # Errors
    /// [`SecretFileError`] when both variables are set, or the file cannot be used.
    pub fn given_key(&self) -> Result<Option<Secret>, SecretFileError> {
        let variable = secret_variable(API_KEY, &environment_variable)?;
        // clap stores `--key`, or else the variable, in `key`; a key from a file is in neither.
        let given = self.key.clone().filter(|key| !key.is_empty());
        Ok(given.or_else(|| variable.map(Secret::new)))
    }

    /// Creates a client of the daemon, with the applicable key.
    ///
    /// # Errors
    /// [`CliError::Usage`] for an invalid URL or key.
    pub fn client(&self) -> Result<Client, CliError> {
        let given = self.given_key().map_err(|error| CliError::Usage(error.to_string()))?;
        let key = api_key::resolve_api_key(given.as_ref().map(Secret::expose), &self.url, || {
            self.data_dir_or_default()
        });
        Ok(Client::new(&self.url, key.as_deref())?)
    }

    /// Returns `None` when the configuration is invalid, which `wharf doctor` reports.
    fn data_dir_or_default(&self) -> Option<PathBuf> {
        self.data_dir.clone().or_else(|| self.settings().ok().map(|s| s.store.data_dir))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature clap asks of a value parser")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Commands of `wharf`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon (the default when no command is given)
    Serve(ServeArgs),
    /// Commands that do not run the daemon.
    #[command(flatten)]
    Client(ClientCommand),
    /// Print the OpenAPI document of the REST interface
    Openapi,
    /// Print a script that completes commands and options in a shell
    Completions(completions::CompletionsArgs),
    /// Write a man page for each command to a directory
    Man(man::ManArgs),
}

/// `wharf serve`
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct ServeArgs {
    /// Address to listen on, instead of the one in the configuration, such as 127.0.0.1:3000
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<std::net::SocketAddr>,

    /// Directory of declared devices (one TOML file each), instead of the one in the configuration
    #[arg(long, value_name = "DIR")]
    pub devices_dir: Option<PathBuf>,
}

impl ServeArgs {
    /// Loads the daemon's settings: as [`Globals::settings`], then `--listen` and `--devices-dir`.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn settings(&self, globals: &Globals) -> Result<Settings, SettingsError> {
        let mut settings = globals.settings()?;
        if let Some(address) = self.listen {
            settings.server.listen = address;
            settings.set_by_option("server.listen", "--listen");
        }
        if let Some(dir) = &self.devices_dir {
            settings.devices.dir.clone_from(dir);
            settings.set_by_option("devices.dir", "--devices-dir");
        }
        Ok(settings)
    }
}

const SERVE_EXAMPLES: &str = "\
Examples:
  wharf serve
  wharf serve --config /etc/wharf/wharf.toml --data-dir /var/lib/wharf
  WHARF__SERVER__LISTEN=0.0.0.0:8080 wharf serve

Ctrl-C or SIGTERM stops it cleanly, a second one at once. SIGHUP reads the declared devices and the identities of operator chat again.";

/// Commands that use a running daemon, or none.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Create, link, start, stop and delete devices
    #[command(subcommand)]
    Devices(devices::DevicesCommand),
    /// Send a text message
    Send(send::SendArgs),
    /// Follow the events of devices as they happen
    Tail(tail::TailArgs),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Show the key in use and its scopes
    Whoami,
    /// Webhooks: deliver events to other programs, show attempts, replay
    #[command(subcommand)]
    Webhooks(webhooks::WebhooksCommand),
    /// Notifications: test actions, list rules and notifications, mute
    #[command(subcommand)]
    Notify(notify::NotifyCommand),
    /// Operator chat: sign tokens of users
    #[command(subcommand)]
    Chat(chat::ChatCommand),
    /// Operator chat: list users, show their presence, revoke their tokens
    #[command(subcommand)]
    Operators(operators::OperatorsCommand),
    /// Operator chat: grant access to the inbox of a device
    #[command(subcommand)]
    Inbox(inbox::InboxCommand),
    /// Operator chat: list, assign and close conversations of devices, add notes
    #[command(subcommand)]
    Conversations(conversations::ConversationsCommand),
    /// Control simulated devices: scan codes, send messages to them, inject faults
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// Check the configuration, or show it
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check whether the daemon is ready, for health checks
    Health(health::HealthArgs),
    /// Copy the database and the files to a directory, while the daemon runs
    Backup(backup::BackupArgs),
    /// Check for problems, with advice for each
    #[command(after_help = doctor::HELP)]
    Doctor,
}

/// Returns the value of a declared device's reference to an environment variable.
#[must_use]
pub fn environment_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Parses the command line. Exits after printing for `--help`, `--version` and wrong usage (code 2).
#[must_use]
pub fn parse() -> Cli {
    Cli::parse()
}

/// Parses the given words, beginning with the program's name; for tests and tools.
///
/// # Errors
/// Clap's error.
pub fn try_parse<W: Into<OsString> + Clone>(words: impl IntoIterator<Item = W>) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(words)
}

/// Runs a client command, prints its result and returns its exit code.
pub async fn run(globals: &Globals, command: ClientCommand, clock: &dyn Clock) -> ExitCode {
    let out = Output::new(globals.json);
    let outcome = Box::pin(dispatch(globals, command, clock, &out)).await;
    out.finish(outcome)
}

async fn dispatch(
    globals: &Globals,
    command: ClientCommand,
    clock: &dyn Clock,
    out: &Output,
) -> Result<(), CliError> {
    match command {
        ClientCommand::Devices(command) => devices::run(command, &globals.client()?, clock, out).await,
        ClientCommand::Send(args) => send::run(args, &globals.client()?, out).await,
        ClientCommand::Tail(args) => tail::run(args, &globals.client()?, out).await,
        ClientCommand::Keys(command) => keys::run(command, globals, clock, out).await,
        ClientCommand::Whoami => whoami::run(&globals.client()?, out).await,
        ClientCommand::Webhooks(command) => webhooks::run(command, &globals.client()?, out).await,
        ClientCommand::Notify(command) => notify::run(&command, &globals.client()?, clock, out).await,
        ClientCommand::Chat(command) => chat::run(&command, globals, clock, out),
        ClientCommand::Operators(command) => operators::run(command, &globals.client()?, out).await,
        ClientCommand::Inbox(command) => inbox::run(command, &globals.client()?, out).await,
        ClientCommand::Conversations(command) => conversations::run(command, &globals.client()?, out).await,
        ClientCommand::Sim(command) => sim::run(command, &globals.client()?, out).await,
        ClientCommand::Config(command) => config::run(&command, globals, out),
        ClientCommand::Health(args) => health::run(&args, &globals.url, out).await,
        ClientCommand::Backup(args) => backup::run(&args, &globals.settings()?, out),
        ClientCommand::Doctor => doctor::run(globals, clock, out).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Otherwise one option takes the other's value: the URL of a receiver as the daemon's, which then gets
    /// the key.
    #[test]
    fn command_arguments_do_not_shadow_global_options() {
        fn probe(command: &clap::Command, globals: &[String]) {
            for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
                let id = argument.get_id().to_string();
                assert!(!globals.contains(&id), "{} {id}", command.get_name());
            }
            command.get_subcommands().for_each(|command| probe(command, globals));
        }
        let cli = Cli::command();
        let globals = cli.get_arguments().filter(|argument| argument.is_global_set());
        let globals: Vec<String> = globals.map(|argument| argument.get_id().to_string()).collect();
        assert!(globals.len() > 3, "{globals:?}");
        cli.get_subcommands().for_each(|command| probe(command, &globals));
        let line = ["wharf", "webhooks", "create", "https://hooks.example.com/shop"];
        assert_eq!(try_parse(line).unwrap().globals.url, DEFAULT_URL);
    }

    #[test]
    fn serve_is_not_subcommand() {
        let (globals, command) = try_parse(["wharf", "--data-dir", "x"]).unwrap().into_parts();
        assert!(matches!(command, Command::Serve(ServeArgs { listen: None, devices_dir: None })));
        assert_eq!(globals.data_dir, Some(PathBuf::from("x")));
    }

    #[test]
    fn global_options_are_accepted_anywhere() {
        let cli = try_parse(["wharf", "devices", "list", "--json", "--url", "http://127.0.0.1:1"]).unwrap();
        assert!(cli.globals.json);
        assert_eq!(cli.globals.url, "http://127.0.0.1:1");
        let (_, command) = cli.into_parts();
        assert!(matches!(command, Command::Client(ClientCommand::Devices(_))));
    }

    #[test]
    fn debug_output_hides_key() {
        let cli = try_parse(["wharf", "--key", "whf_a_b"]).unwrap();
        assert!(!format!("{cli:?}").contains("whf_a_b"));
    }

    #[test]
    fn wrong_usage_is_rejected() {
        for line in [
            "wharf frobnicate",
            "wharf devices show",
            "wharf devices show a/b",
            "wharf devices create --settings [1]",
            "wharf send demo 12 hello",
            "wharf send demo 15550100001 hello --wait seen",
            "wharf sim fault demo explode",
            "wharf sim receipt demo true_15550100001@c.us_A 5",
            "wharf keys create --name x --scopes everything",
            "wharf keys create --name x --scopes admin --expires-in soon",
            "wharf serve --listen nowhere",
            "wharf webhooks create",
            "wharf webhooks create https://a.example/ --format xml",
            "wharf webhooks replay wh_1",
            "wharf webhooks replay wh_1 --dead --id 3",
            "wharf webhooks replay wh_1 --from 3",
        ] {
            let error = try_parse(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn every_command_has_help() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} has no description");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path} {} has no help", argument.get_id());
            }
            command.get_subcommands().for_each(|sub| check(sub, &path));
        }
        check(&Cli::command(), "");
    }
}
