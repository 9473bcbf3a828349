//! Compiles the libraries of `tests/crash/shim/`, which a daemon loads with `LD_PRELOAD`. They replace functions of
//! the C library: the changes of files, or the wall clock.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `tests/crash/shim/<name>.c`; returns the library.
pub fn build(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/crash/shim/{name}.c"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let unfinished = target.join(format!("{name}-{}.so", std::process::id()));
    let mut compiler = Command::new("cc");
    compiler
        .args(["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"])
        .arg(&unfinished)
        .arg(source);
    assert!(compiler.status().is_ok_and(|status| status.success()), "cc cannot compile {name}.c");
    let library = target.join(format!("{name}.so"));
    // Another test may load the same file at this moment.
    std::fs::rename(&unfinished, &library).unwrap();
    library
}
