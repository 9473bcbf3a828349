//! Commands of the operator's.

use super::EffectError;

/// Limits on commands.
#[derive(Debug, Clone)]
pub struct CommandConfig {
    /// Whether any are run.
    pub enabled: bool,
    /// Commands at once.
    pub max_running: usize,
    /// Bytes of output that are kept; the rest is read and thrown away.
    pub output_limit: usize,
    /// Names of the daemon's variables that commands get, besides `PATH`, `HOME` and the like.
    pub pass_env: Vec<String>,
}

/// A command to run.
#[derive(Debug, Clone)]
pub struct CommandCall {
    /// What it is called in logs.
    pub name: String,
    /// The program and its arguments; never a shell's line.
    pub args: Vec<String>,
    /// What it reads: JSON.
    pub input: Vec<u8>,
    /// `WHARF_*` variables.
    pub env: Vec<(String, String)>,
    /// Milliseconds until it is ended, with all that it started.
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
    /// What it wrote, bounded, without control characters.
    pub output: String,
}

/// Runs commands. Clones share the limits.
#[derive(Debug, Clone)]
pub struct Commands(());

impl Commands {
    /// Runs nothing yet.
    #[must_use]
    pub fn new(_config: CommandConfig) -> Self {
        Self(())
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// [`EffectError::Off`], [`EffectError::Busy`], [`EffectError::Invalid`] or [`EffectError::Start`]. A command that
    /// fails is no error: see [`CommandRun::exit`].
    pub async fn run(&self, _call: CommandCall) -> Result<CommandRun, EffectError> {
        Err(EffectError::Off("not built yet".to_owned()))
    }
}
