//! Runs commands of the operator: a program and its arguments, never a shell line.
//!
//! A command receives the event as JSON on standard input and in `WHARF_*` variables. From the daemon's
//! environment it receives only what [`environment`] permits, which excludes secrets. It runs in its own
//! process group, which is killed when the command exits, times out or is cancelled. Processes that left the
//! group survive; only a cgroup or a subreaper would catch them.

mod environment;
mod output;
mod process;

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{EffectError, sanitize};

const SWITCHED_OFF: &str = "effects.command.enabled is false";

/// Limits on commands.
#[derive(Debug, Clone)]
pub struct CommandConfig {
    /// Whether commands are enabled.
    pub enabled: bool,
    /// Limit of concurrent commands.
    pub max_running: usize,
    /// Limit of commands that wait for a running one.
    pub max_waiting: usize,
    /// Limit in bytes of captured output; the rest is read and discarded.
    pub output_limit: usize,
    /// Additional variables of the daemon that commands receive.
    pub pass_env: Vec<String>,
}

/// A command to run.
#[derive(Clone)]
pub struct CommandCall {
    /// Name for logs.
    pub name: String,
    /// The program and its arguments; never a shell line.
    pub args: Vec<String>,
    /// JSON for standard input.
    pub input: Vec<u8>,
    /// `WHARF_*` variables.
    pub env: Vec<(String, String)>,
    /// Time limit in milliseconds; then the process group is killed.
    pub timeout_ms: u64,
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRun {
    /// Exit code; `None` when a signal ended the command.
    pub exit: Option<i32>,
    /// Whether the time limit was exceeded.
    pub timed_out: bool,
    /// Run time in milliseconds.
    pub ms: u64,
    /// Standard output and standard error, bounded, without control characters except line breaks.
    pub output: String,
}

/// Runs commands. Clones share the limits.
#[derive(Debug, Clone)]
pub struct Commands(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: CommandConfig,
    running: Semaphore,
    /// Number of waiting and running commands.
    asked: AtomicUsize,
}

/// Decrements the counter on drop.
struct Asked<'a>(&'a AtomicUsize);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Commands {
    /// Creates the executor without running anything.
    #[must_use]
    pub fn new(config: CommandConfig) -> Self {
        let running = Semaphore::new(config.max_running);
        Self(Arc::new(Inner { config, running, asked: AtomicUsize::new(0) }))
    }

    /// Runs a command as soon as a slot is free. Dropping the future kills the command.
    ///
    /// # Errors
    /// [`EffectError::Off`], [`EffectError::Busy`], [`EffectError::Invalid`] or [`EffectError::Start`]. A
    /// command that exits with a failure is no error: see [`CommandRun::exit`].
    pub async fn run(&self, call: CommandCall) -> Result<CommandRun, EffectError> {
        let Inner { config, running, asked } = &*self.0;
        if !config.enabled {
            return Err(EffectError::Off(SWITCHED_OFF.to_owned()));
        }
        let most = config.max_running.saturating_add(config.max_waiting);
        let before = asked.fetch_add(1, Ordering::Relaxed);
        let _asked = Asked(asked);
        if before >= most {
            return Err(EffectError::Busy);
        }
        let _place = running.acquire().await.map_err(|_| EffectError::Busy)?;
        let command = prepared(&call, &config.pass_env)?;
        let limit = Duration::from_millis(call.timeout_ms);
        let ended = process::run(command, call.input, limit, config.output_limit).await;
        let ended = ended.map_err(|source| EffectError::Start { program: call.args[0].clone(), source })?;
        let text = String::from_utf8_lossy(&ended.output);
        Ok(CommandRun {
            exit: ended.exit,
            timed_out: ended.timed_out,
            ms: u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
            output: sanitize::lines(&text, config.output_limit, usize::MAX),
        })
    }
}

fn prepared(call: &CommandCall, pass: &[String]) -> Result<tokio::process::Command, EffectError> {
    let (program, args) = match call.args.split_first() {
        Some((program, args)) if !program.is_empty() => (program, args),
        _ => return Err(EffectError::Invalid("a command needs a program to start".to_owned())),
    };
    if call.args.iter().any(|arg| arg.contains('\0')) {
        return Err(EffectError::Invalid("an argument of the command contains a zero byte".to_owned()));
    }
    let mut command = tokio::process::Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(environment::of(std::env::vars_os(), pass))
        .envs(environment::own(&call.env)?);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    Ok(command)
}

#[cfg(test)]
mod tests;
