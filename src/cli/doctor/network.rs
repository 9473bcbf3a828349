//! Checks of `wharf doctor` for the native engine: whether this build has it, whether its network is
//! reachable over TLS, whether the clocks agree, and which protocol version the network reports.
//!
//! Sends one request, without user data, to the address from which the engine reads that version. Size and
//! time are limited ([`TIMEOUT`]), so that an offline machine gets its result quickly.

use std::error::Error as _;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::DATE;

use super::host;
use super::host::Check;
use crate::cli::client::install_crypto;
use crate::cli::time_format::parse_http_date;
use crate::settings::Settings;

/// Address of the network's protocol version; the engine's library reads the same one.
const ADDRESS: &str = "https://web.whatsapp.com/sw.js";
const TIMEOUT: Duration = Duration::from_secs(4);
/// Maximum bytes of the answer, which include the version.
const MAX_ANSWER: usize = 1024 * 1024;
const REACH: &str = "whatsapp network";

/// The network's answer.
struct Answer {
    status: u16,
    date_ms: Option<i64>,
    body: String,
}

/// Checks the engine and its network; `now` is in milliseconds since the epoch.
pub(in crate::cli) async fn probe(settings: Option<&Settings>, now: i64) -> Vec<Check> {
    let mut checks = vec![engine(cfg!(feature = "whatsapp"), cfg!(feature = "testbed"))];
    let in_use =
        cfg!(feature = "whatsapp") && settings.is_none_or(|settings| settings.engines.whatsapp.enabled);
    if !in_use {
        checks.push(Check::skip(REACH, "not checked: the native engine is not in use"));
    } else if cfg!(feature = "testbed") {
        checks.push(Check::skip(REACH, "not checked: this build connects to this machine only"));
    } else {
        checks.extend(network(ADDRESS, now).await);
    }
    checks
}

fn engine(built: bool, testbed: bool) -> Check {
    const NAME: &str = "native engine";
    match (built, testbed) {
        (false, _) => Check::skip(NAME, "this build has none (it was made without the feature whatsapp)"),
        (true, true) => Check::warn(
            NAME,
            "this build accepts any certificate (feature testbed)",
            "Use it with a testbed on this machine only; for real accounts build without that feature.",
        ),
        (true, false) => Check::ok(NAME, "built in (feature whatsapp)"),
    }
}

/// Checks reachability, the clock, and the protocol version.
async fn network(address: &str, now: i64) -> Vec<Check> {
    let answer = match ask(address).await {
        Ok(answer) => answer,
        Err(why) => {
            let advice = "Check the machine's network, DNS and firewall: the native engine needs outgoing TCP to port 443 of \
                          web.whatsapp.com, without a proxy that intercepts TLS. Other engines work without it.";
            return vec![Check::warn(REACH, why, advice)];
        }
    };
    let mut checks = vec![Check::ok(REACH, format!("reached over TLS (HTTP status {})", answer.status))];
    checks.extend(answer.date_ms.map(|theirs| host::clocks("whatsapp clock", "the network's", theirs - now)));
    checks.push(protocol(&answer));
    checks
}

fn protocol(answer: &Answer) -> Check {
    const NAME: &str = "whatsapp protocol";
    match revision(&answer.body).filter(|_| answer.status == 200) {
        Some(revision) => {
            Check::ok(NAME, format!("the network has version 2.3000.{revision}; the engine uses it"))
        }
        None => Check::warn(
            NAME,
            "the network does not report its protocol version",
            "Upgrade Wharf if devices fail with client_outdated; until then set settings.whatsapp.version of a device.",
        ),
    }
}

/// Finds the number after `client_revision`; quotation marks between them may be escaped.
fn revision(body: &str) -> Option<&str> {
    let (_, rest) = body.split_once("client_revision")?;
    let number = rest.trim_start_matches(['\\', '"', ':', ' ']);
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    (end > 0).then(|| &number[..end])
}

async fn ask(address: &str) -> Result<Answer, String> {
    let asked = tokio::time::timeout(TIMEOUT, fetch(address)).await;
    let late = || format!("did not answer within {} s", TIMEOUT.as_secs());
    asked.map_err(|_| late())?.map_err(|error| if error.is_timeout() { late() } else { why(&error) })
}

async fn fetch(address: &str) -> Result<Answer, reqwest::Error> {
    install_crypto();
    // Without a proxy, as the engine connects.
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let client = if address.starts_with("http:") { client.tls_certs_only([]) } else { client }.build()?;
    let response = client.get(address).header("sec-fetch-site", "none").send().await?;
    let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
    let (status, date_ms) = (response.status().as_u16(), date.and_then(parse_http_date));
    let (mut body, mut pieces) = (Vec::new(), response.bytes_stream());
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece?);
        if body.len() > MAX_ANSWER {
            break;
        }
    }
    Ok(Answer { status, date_ms, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Describes the error without the address.
fn why(error: &reqwest::Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    named(&causes)
}

/// Describes the innermost cause; `causes` begins with the outermost.
fn named(causes: &[String]) -> String {
    let all = causes.join(": ").to_ascii_lowercase();
    let innermost = causes.last().map(String::as_str).unwrap_or_default();
    if all.contains("dns") || all.contains("lookup") {
        return "its name could not be resolved: this machine is offline, or has no DNS".to_owned();
    }
    if all.contains("certificate") {
        return format!("its certificate was not accepted: {innermost}");
    }
    format!("could not be reached: {innermost}")
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::super::host::Verdict;
    use super::super::network::*;

    /// A server on loopback that gives one answer.
    fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/sw.js", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(answer.as_bytes());
        });
        address
    }

    fn verdicts(checks: &[Check]) -> Vec<(&'static str, Verdict)> {
        checks.iter().map(|check| (check.name, check.verdict)).collect()
    }

    #[tokio::test]
    async fn network_answer_gives_clock_and_version() {
        let body = r#"HTTP/1.1 200 OK
date: Sat, 21 Nov 2026 16:00:00 GMT
content-length: 33
connection: close

{"client_revision":1031234567,...}"#;
        let body: &'static str = Box::leak(body.replace('\n', "\r\n").into_boxed_str());
        let now = parse_http_date("Sat, 21 Nov 2026 16:00:30 GMT").unwrap();
        let checks = network(&server(body), now).await;
        let expected = [
            ("whatsapp network", Verdict::Ok),
            ("whatsapp clock", Verdict::Warn),
            ("whatsapp protocol", Verdict::Ok),
        ];
        assert_eq!(verdicts(&checks), expected, "{checks:?}");
        assert!(checks[1].found.contains("the network's clock is 30 s behind"), "{checks:?}");
        assert!(checks[2].found.contains("2.3000.1031234567"), "{checks:?}");
    }

    #[tokio::test]
    async fn network_without_version_is_warning() {
        let checks = network(&server("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"), 0).await;
        let expected = [("whatsapp network", Verdict::Ok), ("whatsapp protocol", Verdict::Warn)];
        assert_eq!(verdicts(&checks), expected);
    }

    #[tokio::test]
    async fn offline_host_is_reported_at_once_and_not_failed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let checks = network(&refused, 0).await;
        assert_eq!(verdicts(&checks), [("whatsapp network", Verdict::Warn)]);
        assert!(checks[0].found.starts_with("could not be reached: "), "{checks:?}");
        assert!(checks[0].advice.as_ref().unwrap().contains("443"));
    }

    #[test]
    fn network_errors_are_plain_sentences() {
        let named = |cause: &str| named(&["error sending request".to_owned(), cause.to_owned()]);
        assert!(named("dns error: failed to lookup address information").contains("could not be resolved"));
        assert!(
            named("invalid peer certificate: UnknownIssuer").starts_with("its certificate was not accepted")
        );
        assert_eq!(named("Connection refused"), "could not be reached: Connection refused");
    }

    #[test]
    fn build_without_engine_is_reported() {
        assert_eq!(engine(false, false).verdict, Verdict::Skip);
        assert_eq!(engine(true, false).verdict, Verdict::Ok);
        assert_eq!(engine(true, true).verdict, Verdict::Warn);
    }

    #[test]
    fn revision_is_found_in_any_quoting() {
        assert_eq!(revision(r#"x"client_revision":1031,"y""#), Some("1031"));
        assert_eq!(revision(r#"x\"client_revision\":1031,\"y\""#), Some("1031"));
        assert_eq!(revision("client_revision: none"), None);
        assert_eq!(revision("nothing"), None);
    }
}
