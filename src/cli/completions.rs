//! `wharf completions SHELL`: prints a script that completes commands and options.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use super::output::Output;

/// `wharf completions`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

const HELP: &str = "\
Examples:
  wharf completions bash >~/.local/share/bash-completion/completions/wharf
  wharf completions fish >~/.config/fish/completions/wharf.fish";

/// Prints the script.
pub fn run(args: &CompletionsArgs) -> ExitCode {
    let out = Output::new(false);
    out.finish(out.text(&script(args.shell)))
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wharf", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_have_every_command_and_option() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let script = script(shell);
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell} {}", command.get_name());
            }
            for option in ["idempotency-key", "listen", "data-dir", "with-descendants"] {
                assert!(script.contains(option), "{shell} {option}");
            }
        }
    }
}
