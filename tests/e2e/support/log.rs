//! Captures everything that the daemons of a test log, at the most verbose level. Fails the test if the log
//! contains private data of its requests and answers.

use std::io::Write;
use std::sync::{Arc, Mutex, Once, PoisonError};

use serde_json::Value;
use wharf::settings::{LogFormat, LogSettings, RequestLog};

use super::secrets;

/// Excludes the testbed, which is not part of the daemon.
const LEVEL: &str = "trace,testbed=off";
/// Fields of requests and answers with values that must never be logged.
const PRIVATE: [&str; 15] = [
    "accessToken",
    "apiKey",
    "body",
    "caption",
    "key",
    "password",
    "privateKey",
    "qr",
    "qrDataUrl",
    "refreshToken",
    "secret",
    "signingSecret",
    "text",
    "token",
    "vCard",
];

static SET_UP: Once = Once::new();
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct CapturedLog;

impl Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Searches the log when dropped, unless the test has failed already.
pub struct LogGuard(());

impl LogGuard {
    /// Captures the log from now on.
    pub fn start() -> Arc<Self> {
        SET_UP.call_once(|| {
            let settings = LogSettings {
                level: LEVEL.to_owned(),
                format: LogFormat::Text,
                requests: RequestLog::All,
                slow_request_ms: 0,
            };
            wharf::telemetry::init_logs_to(&settings, false, || CapturedLog).unwrap();
        });
        Arc::new(Self(()))
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = LOG.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(!log.is_empty(), "the log is empty, so the search proves nothing");
        secrets::assert_none_in(&String::from_utf8_lossy(&log));
    }
}

/// Number of log lines at this level that contain the text. Each test has its own process.
pub fn said(level: &str, text: &str) -> usize {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    let log = String::from_utf8_lossy(&log);
    log.lines().filter(|line| line.contains(level) && line.contains(text)).count()
}

/// Records the private values of a request or an answer.
pub fn record_private(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice(bytes) {
        record_value(&value);
    }
}

fn record_value(value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(record_value),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if PRIVATE.contains(&name.as_str()) || is_typed_code(text) => {
                        secrets::record(text);
                    }
                    other => record_value(other),
                }
            }
        }
        _ => {}
    }
}

/// Matches a pairing code that is typed on the phone: `ABCD-1234`.
fn is_typed_code(text: &str) -> bool {
    let halves: Vec<&str> = text.split('-').collect();
    halves.len() == 2
        && halves.iter().all(|half| half.len() == 4 && half.bytes().all(|b| !b.is_ascii_lowercase()))
}
