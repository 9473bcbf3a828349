//! `wharf openapi`: prints the document of the REST interface, without a daemon.

use std::process::ExitCode;

use super::output::Output;

/// Prints the document.
pub fn run(document: impl FnOnce() -> String) -> ExitCode {
    let out = Output::new(false);
    out.finish(out.text(&document()))
}
