//! Limits and protection of the daemon's own process.

use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
};

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

/// Hides memory and environment, which hold keys, from command hooks and other programs of the same user, and
/// from core dumps.
pub fn hide_memory() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "other programs of this user may read the daemon's memory");
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps cannot be disabled");
    }
}

/// Creates files and directories for their owner only, regardless of the directory that contains them.
pub fn create_private_files() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// The limit of open files; `None` if there is none.
pub(super) fn open_files() -> Option<usize> {
    getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok())
}
