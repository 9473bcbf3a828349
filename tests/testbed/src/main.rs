//! Runs the testbed until Ctrl-C: `cargo run -p testbed -- --listen 127.0.0.1:9200`.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Result;
use clap::Parser;
use testbed::Testbed;
use tracing_subscriber::EnvFilter;

/// A WhatsApp server with phones, on loopback.
#[derive(Parser)]
#[command(name = "testbed")]
struct Args {
    /// The address to listen on; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .init();
    let testbed = Testbed::start(args.listen).await?;
    writeln!(std::io::stdout(), "http://{}", testbed.address())?;
    tokio::signal::ctrl_c().await?;
    testbed.stop().await;
    Ok(())
}
