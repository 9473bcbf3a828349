//! SIGKILL at random moments, under traffic in both directions.
//!
//! `WHARF_CRASH_ROUNDS` sets the number of rounds, `WHARF_CRASH_SEED` repeats an earlier run. Nextest
//! ends a test after twenty minutes; for thousands of rounds use `WHARF_CRASH_ROUNDS=10000 cargo test
//! --test crash random_kills`.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::checks;
use crate::database::Database;
use crate::fleet::{self, GROUP, create, quick, simulated, until_sent};
use crate::process::{Daemon, DaemonHome, Http, SeededRng, tail};
use crate::tally::Tally;
use crate::traffic::{Halt, Listener, NetworkFaults, Sender, UnstableDevice, Worker, Writer};

const ROUNDS: u64 = 250;
/// Lifetime of a round's daemon after it is ready, in milliseconds.
const LIFE_MS: (u64, u64) = (20, 400);
/// In one of this many rounds another daemon is killed first, during its start.
const EARLY: u64 = 8;
/// Limit for sending the remaining messages after the last kill. They go one by one in each chat; a debug
/// build of the native engine needs a seventh of a second for a message to a group.
const SENT_WITHIN: Duration = Duration::from_secs(300);
/// Workers must detect the kill within this time.
const NOTICE: Duration = Duration::from_secs(30);

/// Together these devices have every feature of a real one.
const DEVICES: [&str; 5] = ["swift", "chatty", "unread", "group", "busy"];
const UNSTABLE: &str = "unstable";
const PEOPLE: [&str; 3] = ["15550100001", "15550100002@c.us", "15550100003"];

/// Number of history messages; they have no events, and every other one is the account's own. The native
/// engine receives history once and not again after a kill, so it gets none here.
fn history() -> i64 {
    if fleet::native() { 0 } else { 50 }
}

fn settings(device: &str) -> Value {
    match device {
        "swift" => quick(),
        "chatty" => simulated(json!({ "ackServerMs": 5, "ackDeviceMs": 10, "ackReadMs": 20, "echo": true })),
        "unread" => simulated(
            json!({ "ackServerMs": 2, "ackDeviceMs": 4, "ackReadMs": null, "contacts": 20, "history": history() }),
        ),
        "group" => simulated(json!({ "ackServerMs": 1, "ackDeviceMs": 3, "ackReadMs": 5, "groups": [{
            "id": GROUP, "subject": "Crew", "participants": ["15550100101", "15550100102", "15550100103"],
        }] })),
        "busy" => simulated(
            json!({ "ackServerMs": 3, "ackDeviceMs": null, "ackReadMs": null, "trafficPerMinute": 1_200 }),
        ),
        _ => simulated(json!({ "ackServerMs": 1, "trafficPerMinute": 600 })),
    }
}

fn chats(device: &str) -> Vec<&'static str> {
    if device == "group" { vec![GROUP, PEOPLE[0]] } else { PEOPLE.to_vec() }
}

pub struct Workload {
    senders: Vec<Sender>,
    writers: Vec<Writer>,
    listeners: Vec<Listener>,
    network_faults: NetworkFaults,
    unstable: UnstableDevice,
}

impl Workload {
    /// With short pauses.
    pub fn new(rng: &mut SeededRng) -> Self {
        Self::with_pauses(rng, (8, 20))
    }

    /// With pauses as between people.
    pub fn human_paced(rng: &mut SeededRng) -> Self {
        Self::with_pauses(rng, (80, 400))
    }

    /// Number of sent texts, and of messages written to the devices.
    pub fn counts(&self) -> (usize, usize) {
        let sent = self.senders.iter().map(|sender| sender.texts.len()).sum();
        let written = self.writers.iter().map(|writer| writer.written.len()).sum();
        (sent, written)
    }

    /// Creates all devices.
    pub async fn create(&self, home: &DaemonHome) {
        let daemon = home.start().await;
        for device in DEVICES.iter().chain([&UNSTABLE]) {
            create(&daemon.http, device, &settings(device)).await;
        }
        daemon.kill();
    }

    fn with_pauses(rng: &mut SeededRng, between: (u64, u64)) -> Self {
        let pause = |rng: &mut SeededRng| Duration::from_millis(rng.between(between.0, between.1));
        let all = DEVICES.iter().chain([&UNSTABLE]);
        Self {
            senders: DEVICES
                .iter()
                .map(|device| Sender::new(device, &chats(device), pause(rng), rng.fork()))
                .collect(),
            writers: DEVICES
                .iter()
                .map(|device| {
                    Writer::new(device, (*device == "group").then_some(GROUP), pause(rng), rng.fork())
                })
                .collect(),
            listeners: all.map(|device| Listener::new(device)).collect(),
            network_faults: NetworkFaults::new(&DEVICES, rng.fork()),
            unstable: UnstableDevice::new(UNSTABLE, rng.fork()),
        }
    }

    /// Runs all workers until the daemon was killed and returns their errors. The HTTP client sometimes
    /// never ends a request that was in flight at the kill, so a worker is abandoned some time after
    /// the daemon is dead.
    async fn work(&mut self, http: &Http, dead: &CancellationToken) -> Vec<String> {
        let mut workers: Vec<&mut dyn Worker> = Vec::new();
        workers.extend(self.senders.iter_mut().map(|worker| worker as &mut dyn Worker));
        workers.extend(self.writers.iter_mut().map(|worker| worker as &mut dyn Worker));
        workers.extend(self.listeners.iter_mut().map(|worker| worker as &mut dyn Worker));
        workers.extend([&mut self.network_faults as &mut dyn Worker, &mut self.unstable]);
        let until_dead = workers.into_iter().map(|worker| async {
            tokio::select! {
                halt = worker.run(http) => halt,
                () = long_after(dead) => Halt::Gone,
            }
        });
        let halts = join_all(until_dead).await;
        halts
            .into_iter()
            .filter_map(|halt| if let Halt::Wrong(what) = halt { Some(what) } else { None })
            .collect()
    }

    /// Completes every unanswered request and removes all faults.
    async fn finish(&mut self, http: &Http) {
        let well = |done: Result<(), Halt>| match done {
            Ok(()) => {}
            Err(Halt::Wrong(what)) => panic!("{what}"),
            Err(Halt::Gone) => panic!("the daemon ended unexpectedly"),
        };
        well(self.network_faults.disarm(http).await);
        for sender in &mut self.senders {
            well(sender.finish(http).await);
        }
        for writer in &mut self.writers {
            well(writer.finish(http).await);
        }
    }

    /// Waits for self-generated events that are still on their way to the listeners.
    async fn receive_remaining(&mut self, http: &Http) {
        let listening = join_all(self.listeners.iter_mut().map(|listener| listener.run(http)));
        if let Ok(halts) = timeout(Duration::from_secs(2), listening).await {
            let wrong = halts
                .into_iter()
                .find_map(|halt| if let Halt::Wrong(what) = halt { Some(what) } else { None });
            panic!("the streams ended: {wrong:?}");
        }
    }
}

/// A number from the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_random_kills_lose_and_duplicate_nothing() {
    let rounds = number("WHARF_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(SeededRng::random_seed);
    eprintln!("{rounds} rounds, WHARF_CRASH_SEED={seed}");
    let mut rng = SeededRng::new(seed);
    let home = fleet::home().await;
    let mut workload = Workload::new(&mut rng);
    let began = Instant::now();
    let mut tally = Tally::new(if fleet::native() { "kills-native" } else { "kills" }, seed);

    workload.create(&home).await;

    for round in 1..=rounds {
        if rng.one_in(EARLY) {
            let newborn = home.spawn();
            sleep(Duration::from_millis(rng.between(0, 120))).await;
            newborn.kill();
        }
        let daemon = home.start().await;
        let life = Duration::from_millis(rng.between(LIFE_MS.0, LIFE_MS.1));
        let problems = one_round(daemon, &mut workload, life).await;
        assert!(problems.is_empty(), "round {round}, seed {seed}: {problems:#?}\n{}", tail(&home.log()));
        tally.rounds = round;
        if round % 25 == 0 {
            eprintln!("round {round} of {rounds} after {:.0?}", began.elapsed());
        }
    }

    let copied = wait_and_check(&home, &mut workload).await;
    let repeated: u64 = workload.senders.iter().map(|sender| sender.repeated).sum();
    let (sent, written) = workload.counts();
    tally.add("texts sent", sent);
    tally.add("messages received", written);
    tally.count_panics(&home);
    tally.check();
    eprintln!(
        "{rounds} kills in {:.0?}: {sent} texts out, of which {repeated} were asked for again and {copied} came to the \
         network again; {written} messages in",
        began.elapsed()
    );
    assert!(sent > 0 && written > 0, "there was no traffic");
    assert!(rounds < ROUNDS || (repeated > 0 && copied > 0), "no kill hit a critical moment");
}

/// Waits until well after workers must have detected the kill.
async fn long_after(dead: &CancellationToken) {
    dead.cancelled().await;
    sleep(Duration::from_secs(2)).await;
}

/// Runs traffic until the daemon is killed, and returns the errors of the workers.
pub async fn one_round(daemon: Daemon, workload: &mut Workload, life: Duration) -> Vec<String> {
    let http = daemon.http.clone();
    let dead = CancellationToken::new();
    let killed = async {
        sleep(life).await;
        daemon.kill();
        dead.cancel();
    };
    let both = async { tokio::join!(workload.work(&http, &dead), killed).0 };
    timeout(life + NOTICE, both).await.expect("clients detect the end of the daemon")
}

/// Waits until the daemon is idle and runs all checks. Returns how many texts reached the network
/// more than once.
pub async fn wait_and_check(home: &DaemonHome, workload: &mut Workload) -> usize {
    let daemon = home.start().await;
    let http = &daemon.http;
    workload.finish(http).await;
    for device in DEVICES {
        fleet::until_ready(http, device).await;
        until_sent(http, device, SENT_WITHIN).await;
    }
    // Self-generated traffic ends with its device.
    for device in DEVICES.iter().chain([&UNSTABLE]) {
        let stopped = http.post(&format!("devices/{device}/stop"), &json!({})).await.unwrap();
        stopped.expect("stop a device");
    }
    workload.receive_remaining(http).await;

    let mut logs = Vec::new();
    for listener in &workload.listeners {
        let log = checks::checked_log(http, &listener.device).await;
        checks::received_the_log(listener, &log);
        checks::acknowledged_is_stored(http, &log).await;
        logs.push(log);
    }
    let mut copied = 0;
    for ((sender, writer), log) in workload.senders.iter().zip(&workload.writers).zip(&logs) {
        copied += checks::sent_once(http, sender, log).await;
        checks::received_once(http, writer, log).await;
        if log.device != "unread" {
            // History has no events, so these chats contain more than the log.
            checks::chats_hold_the_log(http, log).await;
        }
    }
    daemon.stop().await;

    let database = Database::open(home);
    database.check();
    for log in &logs {
        database.agrees_with(log, if log.device == "unread" { history() / 2 } else { 0 });
    }
    for device in DEVICES {
        database.all_sent(device);
    }
    check_output(home);
    copied
}

/// Checks the daemons' output for message bodies and internal errors; keys and numbers are checked at drop.
fn check_output(home: &DaemonHome) {
    let output = home.log();
    for bad in ["quokka", "essential task", "own task panicked", "could not be resumed"] {
        let line = output.lines().find(|line| line.contains(bad));
        assert!(line.is_none(), "the log contains {bad:?}: {}", line.unwrap_or_default());
    }
}
