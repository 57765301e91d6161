//! CPU time and memory of a process, as the system counts them.

use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time that process `pid` has used so far, user and system, finished children left out.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    // schedstat counts nanoseconds but only of one thread; summed over the threads it is exact to the tick.
    let mut total = 0;
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).context("the bot's process has ended")?;
    for task in tasks {
        let path = task?.path().join("schedstat");
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        total += text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(total))
}

/// The most memory that process `pid` has had resident, in bytes.
pub fn peak_memory(pid: u32) -> Result<u64> {
    memory_at(pid, "VmHWM:")
}

/// The memory that process `pid` has resident now, in bytes.
pub fn memory(pid: u32) -> Result<u64> {
    memory_at(pid, "VmRSS:")
}

fn memory_at(pid: u32, field: &str) -> Result<u64> {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).context("the bot's process has ended")?;
    let line = status.lines().find(|line| line.starts_with(field)).context("the system tells no memory")?;
    let kib: u64 = line.split_whitespace().nth(1).unwrap_or_default().parse()?;
    Ok(kib * 1024)
}

/// The machine, for the head of the report.
pub fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown CPU");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{} cores,{}, Linux {}",
        cores,
        model.trim_start_matches([' ', '\t', ':']).replace("  ", " "),
        kernel.trim()
    )
}
