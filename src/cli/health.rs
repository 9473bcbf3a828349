//! `wharf health`: reports the daemon's readiness as an exit code, for health checks of containers.
//!
//! Needs neither key nor shell, nor any other program.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, ClientError};
use super::exit::CliError;
use super::output::{Output, clean};
use super::time_format::parse_duration_ms;

/// `wharf health`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct HealthArgs {
    /// Maximum time to wait for the answer, such as 3s
    #[arg(long, value_parser = parse_duration_ms, default_value = "3s", value_name = "DURATION")]
    pub timeout: i64,
}

const HELP: &str = "\
Asks /readyz of --url, without a key.

Exit codes: 0 ready, 1 not ready, 3 not reachable.";

/// Requests the readiness of the daemon at `url`.
///
/// # Errors
/// [`CliError::Failed`] while the daemon is not ready, [`ClientError`] when there is no answer in time.
pub async fn run(args: &HealthArgs, url: &str, out: &Output) -> Result<(), CliError> {
    let client = Client::new(url, None)?;
    let limit = Duration::from_millis(args.timeout.unsigned_abs());
    let silent = |_| ClientError::NoAnswer { url: client.shown_url(), seconds: limit.as_secs() };
    let answer = tokio::time::timeout(limit, client.probe("readyz")).await.map_err(silent)??;
    let word = |field: &str| answer.body.as_ref()?.get(field)?.as_str().map(clean);
    let ready =
        answer.body.as_ref().and_then(|body| body.pointer("/data/status")) == Some(&Value::from("ready"));
    if answer.status == 200 && ready {
        return out.show(&json!({ "ready": true }), || "ready".to_owned());
    }
    let cause = word("error").unwrap_or_else(|| format!("HTTP status {}", answer.status));
    Err(CliError::Failed(format!("not ready: {cause}")))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Returns the exit code against a server that answers one request with `response`, or not at all.
    async fn exit_code(response: Option<&str>) -> u8 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let length = socket.read(&mut head).await.unwrap();
            assert!(head[..length].starts_with(b"GET /readyz "));
            if let Some(response) = response {
                socket.write_all(response.as_bytes()).await.unwrap();
                return;
            }
            // Holds the connection open until the client gives up.
            let _ = socket.read(&mut head).await;
        };
        let (args, out) = (HealthArgs { timeout: 1_000 }, Output::new(true));
        let ((), outcome) = tokio::join!(server, run(&args, &url, &out));
        outcome.map_or_else(|error| error.exit().code(), |()| 0)
    }

    fn response(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn ready_daemon_is_exit_code_0() {
        let body = r#"{"success":true,"data":{"status":"ready","version":"0.1.0"}}"#;
        assert_eq!(exit_code(Some(&response("200 OK", body))).await, 0);
    }

    #[tokio::test]
    async fn daemon_that_is_not_ready_is_exit_code_1() {
        let body = r#"{"success":false,"error":"The disk is full","code":"disk_full"}"#;
        assert_eq!(exit_code(Some(&response("503 Service Unavailable", body))).await, 1);
        assert_eq!(exit_code(Some(&response("200 OK", "<html>"))).await, 1);
    }

    #[tokio::test]
    async fn missing_answer_is_exit_code_3() {
        assert_eq!(exit_code(None).await, 3);
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let error = run(&HealthArgs { timeout: 1_000 }, &url, &Output::new(true)).await.unwrap_err();
        assert_eq!(error.exit().code(), 3);
    }
}
