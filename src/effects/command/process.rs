//! Runs one command and ends its whole process group. The group never outlives the call.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::output::Output;

/// Time between the request to end and the kill.
const GRACE: Duration = Duration::from_secs(2);
/// Time to read remaining output after the exit; orphans may hold the streams open.
const OUTPUT_GRACE: Duration = Duration::from_millis(200);

/// How the process ended.
pub(super) struct ProcessExit {
    pub exit: Option<i32>,
    pub timed_out: bool,
    pub took: Duration,
    pub output: Vec<u8>,
}

/// The process group of a command, with all descendants that did not leave it. Killed on drop.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The group may have ended already.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Runs a command that has piped streams and its own process group.
///
/// # Errors
/// When the command cannot be started.
pub(super) async fn run(
    mut command: Command,
    input: Vec<u8>,
    limit: Duration,
    output_limit: usize,
) -> io::Result<ProcessExit> {
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let mut output = Output::new(output_limit);
    let (mut out, mut err, mut stdin) = (child.stdout.take(), child.stderr.take(), child.stdin.take());
    let mut exit = None;
    let life = async {
        let feed_input = async {
            if let Some(mut stdin) = stdin.take() {
                // The command may close its input early.
                let _ = stdin.write_all(&input).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = child.wait() => exit = ended.ok(),
            () = feed_input => {}
            () = read_output(&mut output, &mut out, &mut err) => {}
        }
    };
    let timed_out = timeout_at(begun + limit, life).await.is_err();
    if timed_out {
        exit = end(&mut child, &group, &mut output, &mut out, &mut err).await;
    }
    let took = begun.elapsed();
    let _ = timeout(OUTPUT_GRACE, output.read(&mut out, &mut err)).await;
    drop(group);
    Ok(ProcessExit { exit: exit.and_then(|status| status.code()), timed_out, took, output: output.kept })
}

/// Reads output until dropped.
async fn read_output(
    output: &mut Output,
    out: &mut Option<tokio::process::ChildStdout>,
    err: &mut Option<tokio::process::ChildStderr>,
) {
    output.read(out, err).await;
    std::future::pending::<()>().await;
}

/// Requests the group to end, then kills it.
async fn end(
    child: &mut Child,
    group: &Group,
    output: &mut Output,
    out: &mut Option<tokio::process::ChildStdout>,
    err: &mut Option<tokio::process::ChildStderr>,
) -> Option<std::process::ExitStatus> {
    group.signal(Signal::TERM);
    let ended = tokio::select! {
        ended = timeout(GRACE, child.wait()) => ended,
        () = read_output(output, out, err) => return None,
    };
    if let Ok(ended) = ended {
        return ended.ok();
    }
    group.signal(Signal::KILL);
    timeout(GRACE, child.wait()).await.ok()?.ok()
}
