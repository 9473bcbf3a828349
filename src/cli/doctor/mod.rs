//! `wharf doctor`: checks for usual causes of failures, with advice for each.

use serde_json::json;

use super::client::{Client, ClientError, RawAnswer};
use super::doctor::host::{Check, Verdict};
use super::exit::{CliError, Exit};
use super::output::{Output, clean};
use super::{Globals, environment_variable};
use crate::domain::clock::Clock;
use crate::settings::{Settings, load_declared};

mod callbacks;
mod chat_cookies;
mod chat_tokens;
mod effects;
mod host;
mod network;

pub(super) const HELP: &str = "\
Checks the configuration, the data directory, the admin key file, free disk, the limit of open files, and
whether the daemon at --url answers, is ready, has this version, accepts the key and agrees on the time; and
for the native engine, whether this build has it, and whether WhatsApp can be reached and agrees on the time;
whether upstreams can call declared devices with callbacks; whether session cookies of chat have an origin
from which they count; and whether this session has a desktop for
notifications and a loudspeaker for sounds, or why not.
Changes nothing. Exit code 1 when a check fails; warnings alone are 0.";

/// Runs and prints all checks.
///
/// # Errors
/// [`Exit::Error`] when a check fails.
pub async fn run(globals: &Globals, clock: &dyn Clock, out: &Output) -> Result<(), CliError> {
    let settings = globals.settings();
    let mut checks = vec![configuration(&settings)];
    let (remote, network) =
        tokio::join!(daemon(globals, clock), network::probe(settings.as_ref().ok(), clock.now().0));
    if let Ok(settings) = &settings {
        let dir = &settings.store.data_dir;
        checks.push(host::directory(dir));
        checks.push(host::lock(dir, remote.answers));
        checks.push(host::database(dir));
        checks.push(host::admin_key(dir));
        checks.push(host::disk(dir));
    }
    checks.push(host::open_files());
    checks.extend(remote.checks);
    checks.extend(network);
    if let Ok(settings) = &settings {
        if let Ok(devices) = load_declared(&settings.devices.dir, &environment_variable) {
            checks.push(callbacks::probe(settings, &devices));
        }
        checks.extend(chat_cookies::probe(settings));
        checks.extend(chat_tokens::probe(settings));
        checks.extend(effects::probe(settings).await);
    }

    let failed = checks.iter().any(|check| check.verdict == Verdict::Fail);
    let data = json!({ "ok": !failed, "checks": checks });
    out.show(&data, || report(&checks))?;
    if failed { Err(CliError::Reported(Exit::Error)) } else { Ok(()) }
}

fn report(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "WARN",
            Verdict::Fail => "FAIL",
            Verdict::Skip => "-   ",
        };
        text.push_str(&format!("{verdict}  {:<16}  {}\n", check.name, clean(&check.found)));
        if let Some(advice) = &check.advice {
            text.push_str(&format!("      {:<16}  -> {}\n", "", clean(advice)));
        }
    }
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    match (count(Verdict::Fail), count(Verdict::Warn)) {
        (0, 0) => text.push_str("\nNo problems found.\n"),
        (fails, warnings) => text.push_str(&format!("\nfailures: {fails}, warnings: {warnings}\n")),
    }
    text
}

fn configuration<E: std::fmt::Display>(settings: &Result<Settings, E>) -> Check {
    const NAME: &str = "configuration";
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => {
            return Check::fail(
                NAME,
                error.to_string(),
                "Correct the setting; `wharf config check` validates it again.",
            );
        }
    };
    match load_declared(&settings.devices.dir, &environment_variable) {
        Ok(devices) => Check::ok(NAME, format!("valid; declared devices: {}", devices.len())),
        Err(error) => {
            Check::fail(NAME, error.to_string(), "Correct the file; `wharf config check` validates it again.")
        }
    }
}

/// The daemon found at the URL.
struct Remote {
    answers: bool,
    checks: Vec<Check>,
}

async fn daemon(globals: &Globals, clock: &dyn Clock) -> Remote {
    let client = match globals.client() {
        Ok(client) => client,
        Err(error) => {
            return Remote {
                answers: false,
                checks: vec![Check::fail("daemon", error.to_string(), "Correct --url or --key.")],
            };
        }
    };
    let health = match client.probe("healthz").await {
        Ok(answer) => answer,
        Err(error) => {
            let advice = "Start it with `wharf serve`, or give its address with --url or WHARF_URL.";
            return Remote { answers: false, checks: vec![Check::fail("daemon", error.to_string(), advice)] };
        }
    };
    let now = clock.now().0;
    let checks = vec![
        alive(&health, &client),
        ready(client.probe("readyz").await),
        version(&health),
        key(&client).await,
        skew(health.date_ms(), now),
    ];
    Remote { answers: health.status == 200, checks }
}

fn alive(health: &RawAnswer, client: &Client) -> Check {
    let url = client.shown_url();
    if health.status == 200 {
        return Check::ok("daemon", format!("answers at {url}"));
    }
    let found = format!("{url}/healthz answers with HTTP status {}", health.status);
    Check::fail("daemon", found, "Another program may listen there; check --url or WHARF_URL.")
}

fn ready(answer: Result<RawAnswer, ClientError>) -> Check {
    const NAME: &str = "readiness";
    match answer {
        Ok(answer) if answer.status == 200 => Check::ok(NAME, "ready to serve"),
        Ok(answer) => {
            let why = answer
                .body
                .as_ref()
                .and_then(|body| body.get("error")?.as_str())
                .unwrap_or("no reason given")
                .to_owned();
            let found = format!("not ready (HTTP status {}): {why}", answer.status);
            Check::fail(NAME, found, "It may be starting or shutting down: try again; else read its log.")
        }
        Err(error) => Check::fail(NAME, error.to_string(), "Read the daemon's log."),
    }
}

fn version(health: &RawAnswer) -> Check {
    const NAME: &str = "version";
    let ours = env!("CARGO_PKG_VERSION");
    let body = health.body.as_ref();
    let theirs =
        body.and_then(|body| body.get("version").or_else(|| body.get("data")?.get("version"))?.as_str());
    match theirs {
        None => Check::skip(NAME, format!("this is {ours}; the daemon does not report its own")),
        Some(theirs) if theirs == ours => Check::ok(NAME, format!("{ours} on both sides")),
        Some(theirs) => Check::warn(
            NAME,
            format!("this is {ours}, the daemon is {theirs}"),
            "Restart the daemon after an upgrade, or use the same version here.",
        ),
    }
}

async fn key(client: &Client) -> Check {
    const NAME: &str = "key";
    if !client.has_key() {
        let advice = "Give one with --key or WHARF_API_KEY; the daemon's first one is in admin.key in its data directory, or was printed when it first started.";
        return Check::warn(NAME, "none given and none found", advice);
    }
    match client.get(&["devices"], &[("limit", "1".to_owned())]).await {
        Ok(_) => Check::ok(NAME, "accepted"),
        Err(ClientError::Refused { status: 403, .. }) => {
            Check::ok(NAME, "accepted, without the scope devices:read")
        }
        Err(error) => {
            let advice = error.hint().unwrap_or_else(|| "Read the daemon's log.".to_owned());
            Check::fail(NAME, error.to_string(), advice)
        }
    }
}

fn skew(theirs: Option<i64>, ours: i64) -> Check {
    const NAME: &str = "clock";
    match theirs {
        None => Check::skip(NAME, "the daemon does not report its time"),
        Some(theirs) => host::clocks(NAME, "the daemon's", theirs - ours),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn answer(status: u16, body: Value) -> RawAnswer {
        RawAnswer { status, headers: reqwest::header::HeaderMap::new(), body: Some(body) }
    }

    #[test]
    fn daemon_version_is_compared_with_own() {
        let ours = env!("CARGO_PKG_VERSION");
        assert_eq!(version(&answer(200, json!({ "version": ours }))).verdict, Verdict::Ok);
        assert_eq!(version(&answer(200, json!({ "data": { "version": "0.0.0" } }))).verdict, Verdict::Warn);
        assert_eq!(version(&answer(200, json!({}))).verdict, Verdict::Skip);
    }

    #[test]
    fn small_clock_difference_is_accepted() {
        let verdicts =
            [0, -4_000, 30_000, -90_000].map(|skew_ms| skew(Some(1_000_000 + skew_ms), 1_000_000).verdict);
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Ok, Verdict::Warn, Verdict::Fail]);
        assert_eq!(skew(Some(910_000), 1_000_000).found, "the daemon's clock is 90 s behind this one");
    }

    #[test]
    fn unready_daemon_reports_reason() {
        let check = ready(Ok(answer(503, json!({ "error": "shutting down" }))));
        assert_eq!(check.verdict, Verdict::Fail);
        assert_eq!(check.found, "not ready (HTTP status 503): shutting down");
    }

    #[test]
    fn report_states_remedies() {
        let text = report(&[Check::ok("a", "fine"), Check::fail("b", "broken", "mend it")]);
        assert!(
            text.contains("FAIL  b                 broken\n                        -> mend it\n"),
            "{text}"
        );
        assert!(text.ends_with("\nfailures: 1, warnings: 0\n"), "{text}");
    }
}
