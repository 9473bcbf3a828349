//! The floors of the benches: the same frames and rows as the daemon's, with nothing else around them.
//!
//! `socketio` broadcasts and acknowledges with bare socketioxide, `websocket` does so with a loop over bare WebSockets,
//! and `sqlite` writes the rows of messages in grouped transactions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a floor ends by panicking when it cannot run, and owns its tasks and times"
)]

mod payload;
mod socketio;
mod sqlite;
mod websocket;

use std::net::SocketAddr;

use clap::{Parser, Subcommand};

/// The floors of ./dev bench
#[derive(Parser)]
#[command(name = "bench-floor")]
struct Args {
    #[command(subcommand)]
    floor: Floor,
}

#[derive(Subcommand)]
enum Floor {
    /// Bare socketioxide
    Socketio {
        /// The address to listen on
        #[arg(long)]
        listen: SocketAddr,
    },
    /// A loop over bare WebSockets
    Websocket {
        /// The address to listen on
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Rows of messages in grouped transactions
    Sqlite(sqlite::Args),
}

fn main() {
    match Args::parse().floor {
        Floor::Socketio { listen } => runtime().block_on(socketio::serve(listen)),
        Floor::Websocket { listen } => runtime().block_on(websocket::serve(listen)),
        Floor::Sqlite(args) => sqlite::run(&args),
    }
}

/// As the daemon's: a thread for each processor.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}
