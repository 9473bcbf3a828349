//! The cost of reads and writes by the number of stored messages.

use crate::Context;
use crate::devices::{self, name, repeat};
use crate::figures::{Figures, Unit};
use crate::meter::Meter;
use crate::prefill::{COMMON, Content, RARE};
use crate::scenarios::reads::{measure_get, start_filled};
use crate::server::{Server, Target};

const SIZES: [u32; 3] = [1_000, 100_000, 5_000_000];
const CHATS: u32 = 16;
const WRITERS: u32 = 16;

pub async fn run(context: &Context, figures: &mut Figures) {
    let sizes = if context.options.large { &SIZES[..] } else { &SIZES[..2] };
    // The peer is measured on request only: its largest database takes minutes to fill.
    let selected = context.options.targets(&[Target::Wharf, Target::Node]);
    let targets: Vec<Target> =
        if context.options.targets.is_empty() { vec![Target::Wharf] } else { selected };
    for target in targets {
        // The repetitions alternate between sizes, which are what is compared.
        for _ in 0..context.options.repetitions {
            for size in sizes {
                measure(context, target, *size, figures).await;
            }
        }
        for size in &sizes[1..] {
            figures.ratio(&column(target, *size), &column(target, sizes[0]));
        }
    }
    figures.note(format!(
        "The messages are in {CHATS} chats of one device; a fifth is in the first, whose pages are read."
    ));
}

fn column(target: Target, size: u32) -> String {
    format!("{}, {size} stored", target.name())
}

async fn measure(context: &Context, target: Target, size: u32, figures: &mut Figures) {
    let content = Content { messages: size, chats: CHATS };
    let server = start_filled(&context.programs, target, "growth", content).await;
    let column = column(target, size);
    let device = format!("/api/v1/devices/{}", name(0));
    let page = format!("{device}/chats/15550100000@c.us/messages?limit=50");
    let reads = [
        ("chat list", format!("{device}/chats?limit=50")),
        ("newest page", page.clone()),
        ("page before the middle", format!("{page}&before={}", content.middle())),
        ("search, common word", format!("{device}/messages/search?query={COMMON}&limit=20")),
        ("search, rare word", format!("{device}/messages/search?query={}&limit=20", RARE.0)),
        ("status", format!("{device}/status")),
    ];
    for (measure, path) in &reads {
        measure_get(context, &server, measure, path, &column, figures).await;
    }
    measure_writes(context, &server, &column, figures).await;
}

async fn measure_writes(context: &Context, server: &Server, column: &str, figures: &mut Figures) {
    let meter = Meter::start(server);
    let received = repeat(server, WRITERS, context.options.seconds, async |client, _, number| {
        devices::receive(client, &name(0), number, u64::from(CHATS)).await;
    })
    .await;
    figures.add("inbound message: CPU", Unit::Micros, column, meter.stop().per_unit(received.count));
    let meter = Meter::start(server);
    let sent = repeat(server, WRITERS, context.options.seconds, async |client, _, number| {
        devices::send(client, &name(0), number, u64::from(CHATS)).await;
    })
    .await;
    figures.add("accepted send: CPU", Unit::Micros, column, meter.stop().per_unit(sent.count));
}
