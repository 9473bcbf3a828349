//! One command from its start to the end of its process group.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::output::Output;

/// So long a command may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(2);
/// So long its output is waited for after its end: what it left behind may hold it open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How it ended.
pub(super) struct ProcessExit {
    pub exit: Option<i32>,
    pub timed_out: bool,
    pub took: Duration,
    pub output: Vec<u8>,
}

/// The process group of a command: what it started, unless that left. Ends with this, whatever becomes of the caller.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may be gone.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Runs a command, which must have pipes for its streams and a group of its own.
///
/// # Errors
/// When it cannot be started.
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
        let told = async {
            if let Some(mut stdin) = stdin.take() {
                // It need not read.
                let _ = stdin.write_all(&input).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = child.wait() => exit = ended.ok(),
            () = told => {}
            () = listen(&mut output, &mut out, &mut err) => {}
        }
    };
    let timed_out = timeout_at(begun + limit, life).await.is_err();
    if timed_out {
        exit = end(&mut child, &group, &mut output, &mut out, &mut err).await;
    }
    let took = begun.elapsed();
    let _ = timeout(LAST_WORDS, output.read(&mut out, &mut err)).await;
    drop(group);
    Ok(ProcessExit { exit: exit.and_then(|status| status.code()), timed_out, took, output: output.kept })
}

/// Reads on for as long as it is polled.
async fn listen(
    output: &mut Output,
    out: &mut Option<tokio::process::ChildStdout>,
    err: &mut Option<tokio::process::ChildStderr>,
) {
    output.read(out, err).await;
    std::future::pending::<()>().await;
}

/// Asks the group to end, and then ends it.
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
        () = listen(output, out, err) => return None,
    };
    if let Ok(ended) = ended {
        return ended.ok();
    }
    group.signal(Signal::KILL);
    timeout(GRACE, child.wait()).await.ok()?.ok()
}
