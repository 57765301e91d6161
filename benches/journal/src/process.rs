//! What this process used, and where it may write.

use std::{path::PathBuf, time::Duration};

/// The processor time of this process and all its threads.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Resident memory now and at its highest, in megabytes.
pub fn memory() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1e3
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// A new folder on a real disk: `/tmp` may be memory.
pub fn folder() -> tempfile::TempDir {
    let beside: PathBuf = std::env::current_exe().unwrap().parent().unwrap().into();
    tempfile::tempdir_in(beside).unwrap()
}
