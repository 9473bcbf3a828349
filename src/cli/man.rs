//! `wharf man DIR`: writes one man page per command, from the same definition as `--help`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use super::Cli;
use super::exit::CliError;
use super::output::Output;

/// `wharf man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Directory for the pages; it is created if it is missing
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

const EXIT_STATUS: &str = r#".SH "EXIT STATUS"
.TP
\fB0\fR
Done.
.TP
\fB1\fR
Error from the daemon; for \fBwharf health\fR: not ready.
.TP
\fB2\fR
Wrong usage or configuration.
.TP
\fB3\fR
Daemon not reachable.
.TP
\fB4\fR
Not authorised.
.TP
\fB5\fR
Not found.
.TP
\fB6\fR
Not possible now: wrong state or conflict.
.TP
\fB7\fR
Busy: try again later.
.SH ENVIRONMENT
.TP
\fBWHARF_URL\fR
Where the daemon answers.
.TP
\fBWHARF_API_KEY\fR, \fBWHARF_API_KEY_FILE\fR
API key, or the path of a file with it. Set one of them.
.TP
\fBWHARF_CONFIG\fR
Configuration file.
.TP
\fBWHARF__\fISECTION\fB__\fIKEY\fR
A setting, such as \fBWHARF__SERVER__LISTEN\fR. \fBwharf config show\fR prints all of them.
"#;

/// Writes the pages.
pub fn run(args: &ManArgs) -> ExitCode {
    let out = Output::new(false);
    out.finish(write(&args.dir))
}

fn write(dir: &Path) -> Result<(), CliError> {
    let failed = |path: &Path, error: std::io::Error| {
        CliError::Failed(format!("cannot write {}: {error}", path.display()))
    };
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    for (name, text) in pages().map_err(|error| failed(dir, error))? {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// Returns the name and text of each page.
fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = Cli::command();
    // Sets the full names of subcommands and their global options.
    command.build();
    let mut pages = Vec::new();
    add_pages(&command, &mut pages)?;
    Ok(pages)
}

fn add_pages(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    let man = Man::new(command.clone());
    let mut text = Vec::new();
    man.render(&mut text)?;
    text.extend_from_slice(EXIT_STATUS.as_bytes());
    pages.push((man.get_filename(), text));
    command.get_subcommands().try_for_each(|command| add_pages(command, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_options() {
        fn check(command: &Command, dir: &Path) -> usize {
            let name = command.get_display_name().unwrap_or(command.get_name());
            let page = std::fs::read_to_string(dir.join(format!("{name}.1"))).expect(name);
            for option in command.get_arguments().filter_map(clap::Arg::get_long) {
                let escaped = format!("\\-\\-{}", option.replace('-', "\\-"));
                assert!(page.contains(&escaped), "{name} {option}");
            }
            assert!(page.contains("EXIT STATUS") && page.contains("WHARF_API_KEY_FILE"), "{name}");
            1 + command.get_subcommands().map(|command| check(command, dir)).sum::<usize>()
        }
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("new/man1");
        write(&target).unwrap();
        let mut command = Cli::command();
        command.build();
        let pages = check(&command, &target);
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), pages);
    }

    #[test]
    fn unwritable_directory_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = write(file.path()).unwrap_err();
        assert!(error.to_string().starts_with("cannot write "), "{error}");
    }
}
