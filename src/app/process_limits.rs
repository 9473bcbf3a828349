//! Limits and protection of the daemon's own process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer open files are reported at the start.
const FEW_FILES: u64 = 4_096;

/// Raises the limit of open files as far as permitted. Service managers and shells set a low one, which is
/// soft, for programs that use `select`.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    if let Some(open_files) = getrlimit(Resource::Nofile).current
        && open_files < FEW_FILES
    {
        tracing::warn!(open_files, recommended = FEW_FILES, "few files may be open; raise the hard limit");
    }
}

/// The limit of open files; `None` if there is none.
pub(super) fn open_files() -> Option<usize> {
    getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok())
}
