//! From the start of the process until it is ready, with many devices and messages.

use crate::Context;
use crate::devices;
use crate::figures::{Figures, Unit};
use crate::prefill::{Content, fill};
use crate::server::Target;

const SMALL: (u32, u32) = (1_000, 100_000);
const LARGE: (u32, u32) = (10_000, 5_000_000);
const CHATS: u32 = 16;

pub async fn run(context: &Context, figures: &mut Figures) {
    let (count, messages) = if context.options.large { LARGE } else { SMALL };
    for target in context.options.targets(&[Target::Wharf, Target::Node]) {
        let dir = context.programs.directory("start");
        let server = context.programs.start(target, &dir).await;
        devices::create(&server, 0..count).await;
        server.stop().await;
        fill(&dir.join("data"), Content { messages, chats: CHATS });
        for _ in 0..context.options.repetitions {
            let server = context.programs.spawn(target, &dir, &[]);
            let ready = server.until("/readyz").await;
            figures.add("process until /readyz", Unit::Millis, target.name(), ready.as_secs_f64() * 1e3);
            let cpu = server.process.cpu();
            figures.add("CPU until then", Unit::Millis, target.name(), cpu.as_secs_f64() * 1e3);
            devices::all_ready(&server, count).await;
            figures.add(
                "memory when all devices are ready",
                Unit::Kib,
                target.name(),
                server.process.resident_kib() as f64,
            );
            server.stop().await;
        }
    }
    figures.note(format!(
        "{count} devices, {messages} messages of one of them. The files are in the page cache."
    ));
}
