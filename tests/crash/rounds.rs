//! SIGKILL at random moments, under traffic in both directions.
//!
//! `WHARF_CRASH_ROUNDS` asks for more rounds, `WHARF_CRASH_SEED` for those of an earlier run. Nextest ends a test
//! after twenty minutes; for thousands of rounds: `WHARF_CRASH_ROUNDS=10000 cargo test --test crash random_moments`.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::checks;
use crate::database::Database;
use crate::fleet::{self, GROUP, create, quick, simulated, until_sent};
use crate::process::{Daemon, Dice, Http, Place, tail};
use crate::traffic::{Halt, Listener, Mischief, Restless, Sender, Worker, Writer};

const ROUNDS: u64 = 250;
/// A round's daemon lives so long after it is ready, in milliseconds.
const LIFE_MS: (u64, u64) = (20, 400);
/// In one of so many rounds another daemon is killed before, while it starts.
const EARLY: u64 = 8;
/// What is left when the kills have ended goes out within this time, one after the other in each chat: a debug build
/// of the native engine needs a seventh of a second for a message to a group.
const SENT_WITHIN: Duration = Duration::from_secs(300);
/// After the kill, workers must notice within this time.
const NOTICE: Duration = Duration::from_secs(30);

/// One of these has its share of everything that a real one may have.
const DEVICES: [&str; 5] = ["swift", "chatty", "unread", "group", "busy"];
const RESTLESS: &str = "restless";
const PEOPLE: [&str; 3] = ["15550100001", "15550100002@c.us", "15550100003"];

/// Messages from before the link, which have no events; every other one is the account's own. The native engine
/// is told them once, and not again when it is killed meanwhile: there is none for it here.
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

pub struct Crew {
    senders: Vec<Sender>,
    writers: Vec<Writer>,
    listeners: Vec<Listener>,
    mischief: Mischief,
    restless: Restless,
}

impl Crew {
    fn new(dice: &mut Dice) -> Self {
        Self::with_pauses(dice, (8, 20))
    }

    /// As people write.
    pub fn at_ease(dice: &mut Dice) -> Self {
        Self::with_pauses(dice, (80, 400))
    }

    /// Texts that were sent, and messages that were written to the devices.
    pub fn counts(&self) -> (usize, usize) {
        let sent = self.senders.iter().map(|sender| sender.texts.len()).sum();
        let written = self.writers.iter().map(|writer| writer.written.len()).sum();
        (sent, written)
    }

    /// Makes all devices.
    pub async fn create(&self, place: &Place) {
        let daemon = place.start().await;
        for device in DEVICES.iter().chain([&RESTLESS]) {
            create(&daemon.http, device, &settings(device)).await;
        }
        daemon.kill();
    }

    fn with_pauses(dice: &mut Dice, between: (u64, u64)) -> Self {
        let pause = |dice: &mut Dice| Duration::from_millis(dice.between(between.0, between.1));
        let all = DEVICES.iter().chain([&RESTLESS]);
        Self {
            senders: DEVICES
                .iter()
                .map(|device| Sender::new(device, &chats(device), pause(dice), dice.fork()))
                .collect(),
            writers: DEVICES
                .iter()
                .map(|device| {
                    Writer::new(device, (*device == "group").then_some(GROUP), pause(dice), dice.fork())
                })
                .collect(),
            listeners: all.map(|device| Listener::new(device)).collect(),
            mischief: Mischief::new(&DEVICES, dice.fork()),
            restless: Restless::new(RESTLESS, dice.fork()),
        }
    }

    /// All work until the daemon is gone; what it said wrong.
    /// Works until the daemon is gone. A request that was on its way when it died sometimes never ends in the HTTP
    /// client, although no socket is left: once the daemon is dead, such a worker is not waited for any longer.
    async fn work(&mut self, http: &Http, dead: &CancellationToken) -> Vec<String> {
        let mut workers: Vec<&mut dyn Worker> = Vec::new();
        workers.extend(self.senders.iter_mut().map(|worker| worker as &mut dyn Worker));
        workers.extend(self.writers.iter_mut().map(|worker| worker as &mut dyn Worker));
        workers.extend(self.listeners.iter_mut().map(|worker| worker as &mut dyn Worker));
        workers.extend([&mut self.mischief as &mut dyn Worker, &mut self.restless]);
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

    /// Everything that has no answer yet gets one; the network is left in peace.
    async fn finish(&mut self, http: &Http) {
        let well = |done: Result<(), Halt>| match done {
            Ok(()) => {}
            Err(Halt::Wrong(what)) => panic!("{what}"),
            Err(Halt::Gone) => panic!("the daemon ended although nobody ended it"),
        };
        well(self.mischief.disarm(http).await);
        for sender in &mut self.senders {
            well(sender.finish(http).await);
        }
        for writer in &mut self.writers {
            well(writer.finish(http).await);
        }
    }

    /// What came in by itself may still be on its way to those who listen.
    async fn hear_the_rest(&mut self, http: &Http) {
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
    let seed = number("WHARF_CRASH_SEED").unwrap_or_else(Dice::unseeded_seed);
    eprintln!("{rounds} rounds, WHARF_CRASH_SEED={seed}");
    let mut dice = Dice::new(seed);
    let place = fleet::place().await;
    let mut crew = Crew::new(&mut dice);
    let began = Instant::now();

    crew.create(&place).await;

    for round in 1..=rounds {
        if dice.one_in(EARLY) {
            let newborn = place.spawn();
            sleep(Duration::from_millis(dice.between(0, 120))).await;
            newborn.kill();
        }
        let daemon = place.start().await;
        let life = Duration::from_millis(dice.between(LIFE_MS.0, LIFE_MS.1));
        let problems = one_round(daemon, &mut crew, life).await;
        assert!(problems.is_empty(), "round {round}, seed {seed}: {problems:#?}\n{}", tail(&place.log()));
        if round % 25 == 0 {
            eprintln!("round {round} of {rounds} after {:.0?}", began.elapsed());
        }
    }

    let copied = settle_and_check(&place, &mut crew).await;
    let repeated: u64 = crew.senders.iter().map(|sender| sender.repeated).sum();
    let (sent, written) = crew.counts();
    eprintln!(
        "{rounds} kills in {:.0?}: {sent} texts out, of which {repeated} were asked for again and {copied} came to the \
         network again; {written} messages in",
        began.elapsed()
    );
    assert!(sent > 0 && written > 0, "there was no traffic");
    assert!(rounds < ROUNDS || (repeated > 0 && copied > 0), "the kills never came at a bad moment");
}

/// Long after a worker must have noticed that the daemon is dead.
async fn long_after(dead: &CancellationToken) {
    dead.cancelled().await;
    sleep(Duration::from_secs(2)).await;
}

/// Traffic until the daemon is killed; what it said wrong.
pub async fn one_round(daemon: Daemon, crew: &mut Crew, life: Duration) -> Vec<String> {
    let http = daemon.http.clone();
    let dead = CancellationToken::new();
    let killed = async {
        sleep(life).await;
        daemon.kill();
        dead.cancel();
    };
    let both = async { tokio::join!(crew.work(&http, &dead), killed).0 };
    timeout(life + NOTICE, both).await.expect("clients notice that the daemon is gone")
}

/// Lets everything come to rest and checks it. Returns how many texts came to the network more than once.
pub async fn settle_and_check(place: &Place, crew: &mut Crew) -> usize {
    let daemon = place.start().await;
    let http = &daemon.http;
    crew.finish(http).await;
    for device in DEVICES {
        fleet::until_ready(http, device).await;
        until_sent(http, device, SENT_WITHIN).await;
    }
    // Traffic that comes by itself ends with its device.
    for device in DEVICES.iter().chain([&RESTLESS]) {
        let stopped = http.post(&format!("devices/{device}/stop"), &json!({})).await.unwrap();
        stopped.expect("stop a device");
    }
    crew.hear_the_rest(http).await;

    let mut logs = Vec::new();
    for listener in &crew.listeners {
        let log = checks::sound_log(http, &listener.device).await;
        checks::heard_the_log(listener, &log);
        checks::acknowledged_is_stored(http, &log).await;
        logs.push(log);
    }
    let mut copied = 0;
    for ((sender, writer), log) in crew.senders.iter().zip(&crew.writers).zip(&logs) {
        copied += checks::sent_once(http, sender, log).await;
        checks::received_once(http, writer, log).await;
        if log.device != "unread" {
            // History has no events, so that chats hold more than the log there.
            checks::chats_hold_the_log(http, log).await;
        }
    }
    daemon.stop().await;

    let database = Database::open(place);
    database.check();
    for log in &logs {
        database.agrees_with(log, if log.device == "unread" { history() / 2 } else { 0 });
    }
    for device in DEVICES {
        database.all_sent(device);
    }
    check_output(place);
    copied
}

/// No body, and nothing broken, in what the daemons wrote; keys and numbers are looked for when the place ends.
fn check_output(place: &Place) {
    let output = place.log();
    for bad in ["quokka", "essential task", "own task panicked", "could not be resumed"] {
        let line = output.lines().find(|line| line.contains(bad));
        assert!(line.is_none(), "the log says {bad:?}: {}", line.unwrap_or_default());
    }
}
