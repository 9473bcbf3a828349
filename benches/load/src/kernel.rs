//! Processor time and memory of a process, as the kernel counts them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// `USER_HZ`, which Linux keeps at 100 everywhere.
const TICK: Duration = Duration::from_millis(10);

/// A process whose use is measured.
#[derive(Debug, Clone)]
pub struct Process(PathBuf);

impl Process {
    /// The process with this id.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self(PathBuf::from(format!("/proc/{pid}")))
    }

    /// This process.
    #[must_use]
    pub fn own() -> Self {
        Self(PathBuf::from("/proc/self"))
    }

    /// Processor time of all its threads so far. The scheduler counts nanoseconds, but only of threads that still run;
    /// `stat` counts all in ticks.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(self.0.join("stat")).unwrap_or_default();
        self.scheduled().max(ticks(&stat).saturating_sub(TICK))
    }

    fn scheduled(&self) -> Duration {
        let Ok(threads) = fs::read_dir(self.0.join("task")) else { return Duration::ZERO };
        let read = |path: PathBuf| fs::read_to_string(path.join("schedstat")).ok();
        threads.flatten().filter_map(|thread| read(thread.path())).map(|text| running_time(&text)).sum()
    }

    /// Whether it has not ended; one that has ended remains a zombie until its parent reads its status.
    #[must_use]
    pub fn runs(&self) -> bool {
        let stat = fs::read_to_string(self.0.join("stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().next())
            .is_some_and(|state| state != "Z")
    }

    /// Its resident memory, in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        resident_kib(&fs::read_to_string(self.0.join("smaps_rollup")).unwrap_or_default())
    }
}

/// The first field of a `schedstat` file: nanoseconds on a processor.
fn running_time(schedstat: &str) -> Duration {
    Duration::from_nanos(schedstat.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// `utime` and `stime`, fields 14 and 15 of a `stat` file (proc(5)).
fn ticks(stat: &str) -> Duration {
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    TICK * (field(11) + field(12))
}

fn resident_kib(smaps_rollup: &str) -> u64 {
    let line = smaps_rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Processor time that all processes used since boot.
#[must_use]
pub fn busy_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u32> = stat
        .lines()
        .next()
        .unwrap_or("")
        .split_whitespace()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    // user, nice, system, irq, softirq: all but idle and iowait (proc(5)).
    TICK * [0, 1, 2, 5, 6].into_iter().filter_map(|at| fields.get(at)).sum::<u32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_of_user_and_system() {
        let stat = "12 (a) b) S 1 12 12 0 -1 4194560 900 0 0 0 150 25 0 0 20 0 4 0 100 0 0";
        assert_eq!(ticks(stat), Duration::from_millis(1_750));
    }

    #[test]
    fn scheduler_counts_nanoseconds() {
        assert_eq!(running_time("1500000 20 3\n"), Duration::from_micros(1_500));
    }

    #[test]
    fn resident_memory_is_the_sum_of_the_mappings() {
        let text = "5581-7fff ---p 00000000 00:00 0 [rollup]\nRss:               18432 kB\nPss:                9000 kB\n";
        assert_eq!(resident_kib(text), 18_432);
    }

    #[test]
    fn ended_process_does_not_run() {
        assert!(Process::own().runs());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process::of(child.id());
        child.wait().unwrap();
        assert!(!process.runs());
    }

    #[test]
    fn own_process_has_memory_and_processor_time() {
        assert!(Process::own().resident_kib() > 0);
        assert!(Process::own().cpu() > Duration::ZERO);
    }
}
