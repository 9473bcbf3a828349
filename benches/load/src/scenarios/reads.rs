//! Reads over REST, on a database that SQL has filled.

use super::add_shares;
use crate::Context;
use crate::devices::{self, name, repeat};
use crate::figures::{Figures, Unit};
use crate::meter::Meter;
use crate::prefill::{COMMON, Content, RARE, fill};
use crate::server::{Programs, Server, Target};

const CONNECTIONS: u32 = 8;
const STORED: Content = Content { messages: 20_000, chats: 16 };

/// Starts a server whose first device has these messages.
pub async fn start_filled(programs: &Programs, target: Target, directory: &str, content: Content) -> Server {
    let dir = programs.directory(directory);
    let server = programs.start(target, &dir).await;
    devices::create(&server, 0..1).await;
    server.stop().await;
    fill(&dir.join("data"), content);
    let server = programs.start(target, &dir).await;
    devices::all_ready(&server, 1).await;
    server
}

/// Repeats one GET, and adds what it costs.
pub async fn measure_get(
    context: &Context,
    server: &Server,
    measure: &str,
    path: &str,
    column: &str,
    figures: &mut Figures,
) {
    let mut client = server.client().await;
    client.get(path).await.unwrap().expect_success(measure);
    let path = path.to_owned();
    let meter = Meter::start(server);
    let done = repeat(server, CONNECTIONS, context.options.seconds, async move |client, _, _| {
        let response = client.get(&path).await.unwrap();
        assert_eq!(response.status, 200, "{path}");
    })
    .await;
    let used = meter.stop();
    figures.add(&format!("{measure}: CPU"), Unit::Micros, column, used.per_unit(done.count));
    let p99 = done.latencies.percentile(0.99).as_secs_f64() * 1e3;
    figures.add(&format!("{measure}: 99th percentile"), Unit::Millis, column, p99);
    add_shares(figures, column, &used);
}

pub async fn read(context: &Context, figures: &mut Figures) {
    let device = format!("/api/v1/devices/{}", name(0));
    let reads = [
        ("chat list", format!("{device}/chats?limit=50")),
        ("message page", format!("{device}/chats/15550100000@c.us/messages?limit=50")),
        ("status", format!("{device}/status")),
        ("healthz", "/healthz".to_owned()),
    ];
    for _ in 0..context.options.repetitions {
        for target in context.options.targets(&[Target::Wharf, Target::Node]) {
            let server = start_filled(&context.programs, target, "read", STORED).await;
            for (measure, path) in &reads {
                measure_get(context, &server, measure, path, target.name(), figures).await;
            }
        }
    }
    figures.note(format!(
        "{CONNECTIONS} connections; {} messages in {} chats are stored, a fifth of them in the chat of the page.",
        STORED.messages, STORED.chats
    ));
}

pub async fn search(context: &Context, figures: &mut Figures) {
    let device = format!("/api/v1/devices/{}", name(0));
    let search = |word: &str| format!("{device}/messages/search?query={word}&limit=20");
    for _ in 0..context.options.repetitions {
        for target in context.options.targets(&[Target::Wharf, Target::Node]) {
            let server = start_filled(&context.programs, target, "search", STORED).await;
            measure_get(context, &server, "rare word", &search(RARE.0), target.name(), figures).await;
            measure_get(context, &server, "common word", &search(COMMON), target.name(), figures).await;
        }
    }
    figures.note(format!(
        "{CONNECTIONS} connections; all of the {} stored messages have the common word, three or four have the rare one. \
         Both servers count up to 1,000 matches.",
        STORED.messages
    ));
}
