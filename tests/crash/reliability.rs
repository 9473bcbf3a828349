//! Writes `docs/reliability.md`: the figures of all recorded runs, and the test of each finding of the break-in test.
//!
//! `docs/reliability.jsonl` has one line for each run of a scenario. `WHARF_WRITE_DOCS=1` writes the document again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

const RUNS: &str = "docs/reliability.jsonl";
const DOCUMENT: &str = "docs/reliability.md";

/// A line of [`RUNS`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Run {
    scenario: String,
    /// End of the run, in seconds since 1970.
    at: i64,
    seconds: u64,
    seed: u64,
    rounds: u64,
    tried: BTreeMap<String, u64>,
    lost: u64,
    duplicated: u64,
    panics: u64,
    server_errors: u64,
    failed: bool,
    commit: String,
    machine: String,
    /// The cause of a failed run, once it is found.
    #[serde(default)]
    remark: Option<String>,
}

/// The scenarios, and what one round of each is.
const SCENARIOS: [(&str, &str); 21] = [
    ("kills", "SIGKILL under traffic, engine `simulator`"),
    ("kills-sockets", "SIGKILL while Socket.IO clients send and follow"),
    ("kills-operators", "SIGKILL while operators answer contacts and write internal notes"),
    ("kills-native", "SIGKILL under traffic, engine `whatsapp` on a testbed"),
    ("kills-cloud-api", "SIGKILL under traffic, engine `cloud-api`"),
    ("kills-remote", "SIGKILL under traffic, engine `remote`"),
    ("kills-waha", "SIGKILL under traffic, engine `waha`"),
    ("kills-waha-websocket", "SIGKILL under traffic, engine `waha` over a WebSocket"),
    (
        "power",
        "power cut under traffic: the disk keeps what was synced, and in half of the cuts some more sectors",
    ),
    ("power-files", "power cut after uploads"),
    ("damage-log", "bytes of an unfinished commit at the end of the write-ahead log"),
    ("damage-log-end", "a write-ahead log without its end"),
    ("damage-page", "a page of random bytes in the database"),
    ("database", "the database is deleted or replaced while the daemon runs"),
    ("clock", "the wall clock goes back by 90 days, or forward by two hours"),
    ("disk", "the disk is full, then free again"),
    ("descriptors", "attacks on the file descriptors, of which the daemon has 256"),
    ("sockets", "a socket that stalls, floods, sends half frames or vanishes"),
    ("services", "upstreams, receivers and push services that hang"),
    ("requests", "a random request that the OpenAPI document allows or forbids"),
    ("fuzz", "an input of a parser, in the process or sent to a daemon"),
];

/// Tests of each finding, as `binary::module::test`; `unit` is the program of the library's own tests.
const FINDINGS: [(u8, &str, &[&str]); 20] = [
    (
        1,
        "Idle connections, streams and stalled bodies use up the file descriptors",
        &[
            "crash::descriptors::half_request_heads_leave_open_files",
            "crash::descriptors::event_streams_of_one_key_leave_open_files",
            "crash::descriptors::soft_limit_of_open_files_is_raised",
            "e2e::connections::idle_connection_is_closed_after_keep_alive",
            "e2e::connections::stalled_body_loses_its_connection_after_the_answer",
            "e2e::connections::unauthenticated_connections_of_an_address_are_limited",
            "e2e::key_streams::streams_of_a_key_are_limited",
        ],
    ),
    (
        2,
        "Unsigned callbacks that do not arrive block those of all devices",
        &[
            "crash::descriptors::stalled_callbacks_leave_open_files",
            "e2e::cloud_api::authorization::stalled_callbacks_do_not_block_others",
            "e2e::cloud_api::authorization::slowest_callbacks_of_an_address_are_ended",
        ],
    ),
    (
        3,
        "Webhooks of one tenant slow down another",
        &[
            "e2e::webhooks::management::webhooks_of_a_device_are_limited",
            "e2e::webhooks::management::recorded_attempts_of_a_second_are_limited",
        ],
    ),
    (
        4,
        "A copy of `wharf.db` after a clean stop is empty; a new database beside other data is not reported",
        &[
            "crash::data_directory::database_alone_is_complete_after_a_clean_stop",
            "e2e::restart::new_database_beside_other_data_is_reported",
        ],
    ),
    (
        5,
        "A key or a push subscription of a deleted device reads a later one with the same id",
        &[
            "e2e::keys::key_of_deleted_device_reads_no_later_device",
            "e2e::notify::browsers::push_of_deleted_device_does_not_cover_later_one",
        ],
    ),
    (
        6,
        "A key that expires creates one that does not; children of a revoked key live on",
        &[
            "e2e::keys::created_key_expires_no_later_than_its_creator",
            "e2e::keys::descendants_are_revoked_on_request",
        ],
    ),
    (
        7,
        "`/readyz` is 200 with a full disk, or a damaged or deleted database",
        &[
            "e2e::probes::readiness_writes_a_row",
            "e2e::probes::deleted_database_is_not_ready_and_stops_the_daemon",
            "e2e::probes::daemon_stops_when_its_database_is_replaced",
            "crash::disk_full::full_disk_is_logged_once_and_recovers",
        ],
    ),
    (
        8,
        "Anonymous Socket.IO sessions use up memory and descriptors",
        &[
            "crash::descriptors::anonymous_sessions_leave_open_files",
            "e2e::socket::anonymous::session_without_namespace_is_closed_in_time",
            "e2e::socket::anonymous::anonymous_sessions_are_limited_in_all",
        ],
    ),
    (
        9,
        "Searches of one tenant delay the reads of another",
        &[
            "crash::data_directory::searches_of_a_device_leave_reads_to_another",
            "unit::store::readers::read_queue::owners_take_turns",
        ],
    ),
    (
        10,
        "One key fills the disk",
        &[
            "e2e::media::quota::device_over_its_quota_cannot_store_more_files",
            "e2e::media::quota::device_over_its_upload_rate_is_refused_for_a_minute",
            "e2e::export::limits::files_are_refused_while_messages_pass_on_low_disk",
        ],
    ),
    (
        11,
        "Imports and webhook tests that trickle block all others",
        &[
            "e2e::export::limits::running_import_blocks_no_other_device",
            "e2e::export::limits::trickling_import_ends_after_grace_period",
            "e2e::webhooks::management::webhook_tests_of_a_device_do_not_block_others",
        ],
    ),
    (
        12,
        "Refusals without a key reveal device ids without a limit",
        &[
            "e2e::socket::anonymous::transport_closes_after_refusals_without_a_key",
            "e2e::socket::anonymous::unknown_namespaces_count_as_failed_logins",
        ],
    ),
    (
        13,
        "A key that may only read sees the secret path of webhook URLs",
        &["e2e::webhooks::management::reading_key_sees_no_path_of_webhook_url"],
    ),
    (
        14,
        "A command hook reads the daemon's environment; core dumps have secrets",
        &["crash::data_directory::own_user_cannot_read_the_environment"],
    ),
    (
        15,
        "A second daemon starts after the lock file was deleted",
        &[
            "crash::data_directory::deleted_lock_stops_the_daemon_with_its_reason",
            "crash::shutdown::slow_second_daemon_on_same_data_is_refused",
            "unit::store::data_files::deleted_and_replaced_files_are_detected",
        ],
    ),
    (
        16,
        "Data files are readable by others",
        &[
            "crash::data_directory::files_in_an_open_directory_are_private",
            "unit::store::open::lock_and_database_are_private",
        ],
    ),
    (
        17,
        "With a full disk the daemon does not start",
        &["crash::disk_full::daemon_starts_on_a_full_disk_and_recovers"],
    ),
    (
        18,
        "Webhook tests reveal the private network; any `Host` is served on loopback",
        &[
            "e2e::webhooks::addresses::private_address_is_not_revealed_to_tenants",
            "e2e::connections::foreign_host_is_refused_on_loopback",
            "e2e::connections::trusted_proxy_may_send_any_host",
        ],
    ),
    (
        19,
        "After a restore a client misses events without `resync`",
        &["e2e::log_identity::clients_resync_after_an_older_copy_was_restored"],
    ),
    (
        20,
        "Errors of a full disk flood the log; a message of the far future stays on top",
        &[
            "crash::disk_full::full_disk_is_logged_once_and_recovers",
            "e2e::cloud_api::callbacks::message_of_the_far_future_is_dated_tomorrow",
        ],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn runs() -> Vec<Run> {
    let text = fs::read_to_string(root().join(RUNS)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

/// The scenario that a run belongs to: the fuzz targets are one.
fn scenario(run: &Run) -> &str {
    if run.scenario.starts_with("fuzz-") { "fuzz" } else { &run.scenario }
}

fn day(at: i64) -> String {
    Timestamp::from_second(at).unwrap().strftime("%Y-%m-%d").to_string()
}

/// A number with thousands separated.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn duration(seconds: u64) -> String {
    if seconds >= 3_600 {
        return format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60);
    }
    if seconds >= 60 { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}

fn document(runs: &[Run]) -> String {
    let mut text = "# Reliability\n\nGenerated by `./dev torture --write` from docs/reliability.jsonl: do not edit. A round \
        is one fault; rounds of several\nruns are added. \"Failed\" counts runs that a check ended. \"5xx\" are answers of \
        the daemon that do not mean that it is busy\nor that the disk is full; in `damage-page` they are the right answer.\n\n## All runs\n\n"
        .to_owned();
    text.push_str(
        "| scenario | rounds | runs | failed | lost | duplicated | panics | 5xx | time | last run |\n",
    );
    text.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n");
    for (name, _) in SCENARIOS {
        let own: Vec<&Run> = runs.iter().filter(|run| scenario(run) == name).collect();
        let Some(last) = own.iter().map(|run| run.at).max() else { continue };
        let sum = |of: fn(&Run) -> u64| count(own.iter().map(|run| of(run)).sum());
        let time = duration(own.iter().map(|run| run.seconds).sum());
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} | {} | {} | {} | {} | {} | {time} | {} |",
            sum(|run| run.rounds),
            own.len(),
            sum(|run| u64::from(run.failed)),
            sum(|run| run.lost),
            sum(|run| run.duplicated),
            sum(|run| run.panics),
            sum(|run| run.server_errors),
            day(last)
        );
    }
    text.push_str("\n| scenario | one round |\n| --- | --- |\n");
    for (name, what) in SCENARIOS {
        let _ = writeln!(text, "| `{name}` | {what} |");
    }
    text.push_str("\n## What was tried\n\n| scenario | counted | number |\n| --- | --- | ---: |\n");
    let mut tried: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for run in runs {
        for (what, number) in &run.tried {
            *tried.entry((&run.scenario, what)).or_default() += number;
        }
    }
    for ((name, what), number) in tried {
        let _ = writeln!(text, "| `{name}` | {what} | {} |", count(number));
    }
    text.push_str(
        "\n## Runs\n\nA run is repeated with its seed: `./dev torture kills --rounds 1000 --seed 7`.\n\n",
    );
    text.push_str("| date | scenario | rounds | seed | time | commit | machine | result |\n");
    text.push_str("| --- | --- | ---: | ---: | ---: | --- | --- | --- |\n");
    for run in runs {
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | {} | {} | {} | {} | {} |",
            day(run.at),
            run.scenario,
            count(run.rounds),
            run.seed,
            duration(run.seconds),
            run.commit,
            run.machine,
            match (run.failed, &run.remark) {
                (false, _) => "ok".to_owned(),
                (true, None) => "**failed**".to_owned(),
                (true, Some(remark)) => format!("**failed**: {remark}"),
            }
        );
    }
    text.push_str("\n## Tests of the findings\n\nEach finding of the break-in test, and the tests that attack the same way.\n\n");
    text.push_str("| | finding | tests |\n| ---: | --- | --- |\n");
    for (number, what, tests) in FINDINGS {
        let tests: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
        let _ = writeln!(text, "| {number} | {what} | {} |", tests.join("<br>"));
    }
    text
}

#[test]
fn document_has_all_runs() {
    let text = document(&runs());
    let path = root().join(DOCUMENT);
    if std::env::var_os("WHARF_WRITE_DOCS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let is_current = fs::read_to_string(&path).is_ok_and(|committed| committed == text);
    assert!(is_current, "{DOCUMENT} is stale: run this test with WHARF_WRITE_DOCS=1");
}

#[test]
fn recorded_runs_have_a_listed_scenario() {
    for run in runs() {
        assert!(SCENARIOS.iter().any(|(name, _)| *name == scenario(&run)), "{run:?}");
    }
}

/// The source of a test's module: its file, or the `mod.rs` of its folder.
fn source_of(test: &str) -> Option<(String, String)> {
    let (path, name) = test.rsplit_once("::")?;
    let (binary, module) = path.split_once("::")?;
    let folder = if binary == "unit" { "src".to_owned() } else { format!("tests/{binary}") };
    let file = root().join(folder).join(module.replace("::", "/"));
    let text =
        fs::read_to_string(file.with_extension("rs")).or_else(|_| fs::read_to_string(file.join("mod.rs")));
    Some((text.ok()?, name.to_owned()))
}

#[test]
fn every_finding_has_an_existing_test() {
    for (at, (number, _, tests)) in (1..).zip(FINDINGS) {
        assert_eq!(number, at, "the findings are complete and in order");
        assert!(!tests.is_empty(), "finding {number} has no test");
        for test in tests {
            let found = source_of(test).is_some_and(|(text, name)| {
                // Inside the lines before the function is its attribute.
                let at = text.find(&format!("fn {name}()"));
                at.is_some_and(|at| text[..at].lines().rev().take(4).any(|line| line.contains("test")))
            });
            assert!(found, "finding {number}: no test {test}");
        }
    }
}
