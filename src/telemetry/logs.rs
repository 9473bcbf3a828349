//! Writes logs of `tracing` to standard error, as text or JSON.
//!
//! Invariant: libraries that log sensitive data (handshake credentials, frames) are capped at `warn`,
//! whatever the directives are, so that no setting can reveal a key or a message body. Records of the crate
//! `log` are discarded, because the native engine's library logs phone numbers and ids there at every level.

use std::io::IsTerminal;

use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, ParseError, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::{Layer, fmt};

use crate::settings::{LogFormat, LogSettings};

/// Crates capped at `warn`, by prefix: socketioxide logs the auth payload at debug, tungstenite whole frames
/// at trace, hyper headers.
const CAPPED: [&str; 5] = ["socketioxide", "engineioxide", "hyper", "tungstenite", "tokio_tungstenite"];

/// Errors of setting up logs.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Invalid directives; validated settings never have them.
    #[error("log.level: {0}")]
    Directives(#[from] ParseError),
    /// Logs were already set up.
    #[error("logs cannot be set up: {0}")]
    AlreadySet(#[from] SetGlobalDefaultError),
}

/// Starts logging to standard error. Call it once.
///
/// # Errors
/// Invalid directives, or a second call.
pub fn init_logs(settings: &LogSettings) -> Result<(), LogError> {
    init_logs_to(settings, std::io::stderr().is_terminal(), std::io::stderr)
}

/// As [`init_logs`], to another writer.
///
/// # Errors
/// As [`init_logs`].
pub fn init_logs_to<W>(settings: &LogSettings, colours: bool, writer: W) -> Result<(), LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Not `try_init`, which also captures records of the crate `log`.
    Ok(tracing::subscriber::set_global_default(subscriber(settings, colours, writer)?)?)
}

fn subscriber<W>(settings: &LogSettings, colours: bool, writer: W) -> Result<impl Subscriber, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let directives = EnvFilter::try_new(&settings.level)?;
    let lines = lines(settings.format, colours, writer).with_filter(filter_fn(allowed));
    Ok(Registry::default().with(lines).with(directives))
}

fn lines<W>(format: LogFormat, colours: bool, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Otherwise a closed standard error would cause a panic.
    let layer = fmt::layer().with_writer(writer).with_ansi(colours).log_internal_errors(false);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

fn allowed(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN || !is_capped(metadata.target())
}

fn is_capped(target: &str) -> bool {
    let next = |rest: &str| rest.is_empty() || rest.starts_with("::") || rest.starts_with('_');
    CAPPED.iter().any(|name| target.strip_prefix(name).is_some_and(next))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::settings::RequestLog;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat, act: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let settings =
            LogSettings { level: level.to_owned(), format, requests: RequestLog::All, slow_request_ms: 0 };
        let subscriber = subscriber(&settings, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn directives_filter_log() {
        let text = logged("warn,wharf::store=debug", LogFormat::Text, || {
            tracing::info!(target: "wharf::api", "hidden");
            tracing::warn!(target: "wharf::api", "warned");
            tracing::debug!(target: "wharf::store", "detail");
        });
        assert!(!text.contains("hidden") && text.contains("warned") && text.contains("detail"), "{text}");
    }

    #[test]
    fn capped_libraries_stay_capped() {
        for level in ["trace", "socketioxide=trace", "socketioxide::ns=trace,engineioxide=debug,hyper=trace"]
        {
            let text = logged(level, LogFormat::Text, || {
                tracing::debug!(target: "socketioxide::ns", "payload");
                tracing::info!(target: "socketioxide", "payload");
                tracing::debug!(target: "socketioxide_core::packet", "payload");
                tracing::debug!(target: "engineioxide", "payload");
                tracing::trace!(target: "hyper_util::client", "payload");
                tracing::trace!(target: "tungstenite::protocol", "payload");
            });
            assert_eq!(text, "", "{level}");
        }
        let text = logged("info", LogFormat::Text, || {
            tracing::warn!(target: "socketioxide::ns", "wanted");
            tracing::info!(target: "hyperion", "ours");
        });
        assert!(text.contains("wanted") && text.contains("ours"), "{text}");
    }

    #[test]
    fn spans_of_capped_libraries_are_hidden() {
        let text = logged("trace", LogFormat::Text, || {
            let span = tracing::debug_span!(target: "socketioxide::client", "connect", auth = "credential");
            span.in_scope(|| tracing::info!(target: "wharf", "inside"));
        });
        assert!(text.contains("inside") && !text.contains("credential"), "{text}");
    }

    /// The only test that sets up logs for the process, which is possible once.
    #[test]
    fn log_crate_records_are_not_shown() {
        struct Theirs(Captured);
        impl log::Log for Theirs {
            fn enabled(&self, _: &log::Metadata<'_>) -> bool {
                true
            }
            fn log(&self, record: &log::Record<'_>) {
                let _ = writeln!(self.0.clone(), "{}", record.args());
            }
            fn flush(&self) {}
        }

        let (shown, records) = (Captured::default(), Captured::default());
        let writer = shown.clone();
        let level = "trace,whatsapp_rust=trace,wacore=trace,log=trace".to_owned();
        let settings =
            LogSettings { level, format: LogFormat::Text, requests: RequestLog::All, slow_request_ms: 0 };
        init_logs_to(&settings, false, move || writer.clone()).unwrap();
        assert_eq!(log::max_level(), log::LevelFilter::Off, "no record is even made");
        // Other code may enable `log` nevertheless: only this subscriber is installed.
        log::set_boxed_logger(Box::new(Theirs(records.clone()))).expect("no logger was installed");
        log::set_max_level(log::LevelFilter::Trace);
        log::error!(target: "whatsapp_rust", "a number of another crate");
        tracing::info!("ours");
        let text = |of: Captured| String::from_utf8(of.0.lock().unwrap().clone()).unwrap();
        assert!(text(records).contains("a number of another crate"), "the record was made");
        let shown = text(shown);
        assert!(shown.contains("ours") && !shown.contains("another crate"), "{shown}");
    }

    #[test]
    fn json_log_is_one_object_per_line() {
        let text = logged("info", LogFormat::Json, || {
            tracing::info!(target: "wharf", device = "d1", "one\ntwo");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!((&line["message"], &line["device"]), (&"one\ntwo".into(), &"d1".into()));
    }
}
