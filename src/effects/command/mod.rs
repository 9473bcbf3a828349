//! Commands of the operator's: a program and its arguments, never a shell's line.
//!
//! A command gets the event as JSON on its standard input and in `WHARF_*` variables, and of the daemon's own
//! environment only what [`environment`] names, which holds no secret. It runs in a process group of its own; when it
//! ends, is cut off or is given up, the whole group ends. What left the group lives on: nothing short of a cgroup or of
//! becoming the reaper of all orphans of this process would catch it.

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
    /// Whether any are run.
    pub enabled: bool,
    /// Commands at once.
    pub max_running: usize,
    /// Commands that may wait for one of them to end.
    pub max_waiting: usize,
    /// Bytes of output that are kept; the rest is read and thrown away.
    pub output_limit: usize,
    /// Names of the daemon's variables that commands get, besides `PATH`, `HOME` and the like.
    pub pass_env: Vec<String>,
}

/// A command to run.
#[derive(Clone)]
pub struct CommandCall {
    /// What it is called in logs.
    pub name: String,
    /// The program and its arguments; never a shell's line.
    pub args: Vec<String>,
    /// What it reads: JSON.
    pub input: Vec<u8>,
    /// `WHARF_*` variables.
    pub env: Vec<(String, String)>,
    /// Milliseconds until it is ended, with its process group.
    pub timeout_ms: u64,
}

/// How a command went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRun {
    /// Its exit code; `None` when a signal ended it.
    pub exit: Option<i32>,
    /// Whether its time was over.
    pub timed_out: bool,
    /// Milliseconds that it took.
    pub ms: u64,
    /// What it wrote to standard output and standard error, bounded, without control characters but line breaks.
    pub output: String,
}

/// Runs commands. Clones share the limits.
#[derive(Debug, Clone)]
pub struct Commands(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: CommandConfig,
    running: Semaphore,
    /// Those that wait, and those that run.
    asked: AtomicUsize,
}

/// Counts one less when dropped.
struct Asked<'a>(&'a AtomicUsize);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Commands {
    /// Runs nothing yet.
    #[must_use]
    pub fn new(config: CommandConfig) -> Self {
        let running = Semaphore::new(config.max_running);
        Self(Arc::new(Inner { config, running, asked: AtomicUsize::new(0) }))
    }

    /// Runs a command to its end, when its turn has come. Dropped in between, it ends the command.
    ///
    /// # Errors
    /// [`EffectError::Off`], [`EffectError::Busy`], [`EffectError::Invalid`] or [`EffectError::Start`]. A command that
    /// fails is no error: see [`CommandRun::exit`].
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
        return Err(EffectError::Invalid("an argument of the command has a zero byte".to_owned()));
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
