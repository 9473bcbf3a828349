//! Tests with real commands.

use std::os::unix::fs::PermissionsExt as _;
use tokio::time::Instant;

use super::*;

fn commands(max_running: usize, max_waiting: usize) -> Commands {
    let pass_env = Vec::new();
    Commands::new(CommandConfig { enabled: true, max_running, max_waiting, output_limit: 2000, pass_env })
}

fn call(args: &[&str]) -> CommandCall {
    CommandCall {
        name: "test".to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        input: b"{\"event\":\"message\"}".to_vec(),
        env: vec![("WHARF_EVENT".to_owned(), "message".to_owned())],
        timeout_ms: 10_000,
    }
}

/// A shell script, for tests that need one. The daemon itself never runs a shell.
fn script(text: &str) -> CommandCall {
    call(&["/bin/sh", "-c", text])
}

async fn run(call: CommandCall) -> CommandRun {
    commands(4, 0).run(call).await.unwrap()
}

async fn within(limit: Duration, what: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if what() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    what()
}

fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

#[tokio::test]
async fn command_receives_event_and_returns_exit_code() {
    let ran = run(script("cat; echo; echo $WHARF_EVENT; exit 3")).await;
    assert_eq!((ran.exit, ran.timed_out), (Some(3), false));
    assert_eq!(ran.output, "{\"event\":\"message\"}\nmessage");
}

#[tokio::test]
async fn command_arguments_bypass_shell() {
    let hostile = "$(id) `id` ; rm -rf / && \"'* \n~";
    assert_eq!(run(call(&["/usr/bin/printf", "%s", hostile])).await.output, hostile);
}

#[tokio::test]
async fn command_inherits_basic_environment_only() {
    let ran = run(call(&["/usr/bin/env"])).await;
    let allowed = |name: &str| {
        name == "WHARF_EVENT"
            || name.starts_with("LC_")
            || environment::of(std::iter::once((name.into(), String::new().into())), &[]).count() == 1
    };
    let names: Vec<_> =
        ran.output.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.contains(&"PATH") && names.contains(&"WHARF_EVENT"), "{names:?}");
    assert!(names.iter().all(|name| allowed(name)), "{names:?}");
    assert!(
        std::env::vars().any(|(name, _)| name.starts_with("CARGO")),
        "the environment contains variables to withhold"
    );
}

#[tokio::test]
async fn command_receives_sanitized_text() {
    let mut printenv = call(&["/usr/bin/printenv", "WHARF_TEXT"]);
    printenv.env.push(("WHARF_TEXT".to_owned(), "a\0b\u{1b}[2J\u{202e}$(id)\nPATH=/evil".to_owned()));
    // The output is sanitized too, because it is logged.
    assert_eq!(run(printenv).await.output, "ab[2J$(id)\nPATH=/evil");
    let zero = commands(1, 0).run(call(&["/bin/true", "a\0b"])).await;
    assert!(matches!(zero, Err(EffectError::Invalid(_))));
}

#[tokio::test]
async fn output_is_bounded_and_verbose_command_ends() {
    let ran =
        run(script("head -c 5000000 /dev/zero | tr '\\0' x; head -c 300000 /dev/zero | tr '\\0' y >&2"))
            .await;
    assert_eq!((ran.exit, ran.output.len()), (Some(0), 2000));
}

#[tokio::test]
async fn command_that_ignores_input_ends() {
    let mut much = call(&["/bin/true"]);
    much.input = vec![b'x'; 5_000_000];
    assert_eq!(run(much).await.exit, Some(0));
}

#[tokio::test]
async fn time_limit_kills_process_group() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let text =
        format!("trap '' TERM; sleep 300 & echo $! >{0}; echo $$ >>{0}; wait; sleep 300", file.display());
    let (mut slow, begun) = (script(&text), Instant::now());
    slow.timeout_ms = 300;
    let ran = run(slow).await;
    assert!(ran.timed_out && ran.exit.is_none(), "{ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let pids = std::fs::read_to_string(&file).unwrap();
    assert_eq!(pids.lines().count(), 2);
    assert!(within(Duration::from_secs(2), || !pids.lines().any(lives)).await, "{pids}");
}

#[tokio::test]
async fn terminated_command_may_clean_up() {
    let mut slow = script("trap 'echo bye; exit 7' TERM; sleep 300 & wait");
    slow.timeout_ms = 300;
    let ran = run(slow).await;
    assert_eq!((ran.exit, ran.timed_out, ran.output.as_str()), (Some(7), true, "bye"));
}

#[tokio::test]
async fn leftover_processes_are_killed_without_delay() {
    let begun = Instant::now();
    let ran = run(script("sleep 300 & echo $!")).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(ran.exit, Some(0));
    assert!(within(Duration::from_secs(2), || !lives(&ran.output)).await);
}

#[tokio::test]
async fn command_ends_when_caller_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let commands = commands(1, 0);
    let running = commands.run(script(&format!("echo $$ >{}; sleep 300", file.display())));
    let pid = || std::fs::read_to_string(&file).unwrap_or_default();
    tokio::select! {
        _ = running => panic!("it sleeps"),
        begun = within(Duration::from_secs(5), || pid().ends_with('\n')) => assert!(begun),
    }
    assert!(within(Duration::from_secs(2), || !lives(&pid())).await);
}

#[tokio::test]
async fn commands_above_queue_limit_are_refused() {
    let commands = commands(1, 1);
    let asked = tokio::join!(
        commands.run(call(&["/bin/sleep", "0.2"])),
        commands.run(call(&["/bin/true"])),
        commands.run(call(&["/bin/true"])),
    );
    assert!(asked.0.is_ok() && asked.1.is_ok());
    assert!(matches!(asked.2, Err(EffectError::Busy)));
    assert!(commands.run(call(&["/bin/true"])).await.is_ok());
}

#[tokio::test]
async fn start_error_hides_arguments() {
    let error = commands(1, 0).run(call(&["/no/such/program", "secret"])).await.unwrap_err();
    assert!(matches!(&error, EffectError::Start { program, .. } if program == "/no/such/program"));
    assert!(!error.to_string().contains("secret"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "x").unwrap();
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(run_error(plain.to_str().unwrap()).await, EffectError::Start { .. }));
    assert!(matches!(run_error("").await, EffectError::Invalid(_)));
}

async fn run_error(program: &str) -> EffectError {
    commands(1, 0).run(call(&[program])).await.unwrap_err()
}

#[tokio::test]
async fn disabled_commands_are_not_run() {
    let commands = Commands::new(CommandConfig {
        enabled: false,
        max_running: 1,
        max_waiting: 1,
        output_limit: 100,
        pass_env: Vec::new(),
    });
    assert!(matches!(commands.run(call(&["/bin/true"])).await, Err(EffectError::Off(_))));
}
