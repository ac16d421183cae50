//! What the system knows of this process, under the names that every exporter gives it.
//!
//! In: files of `/proc/self` (proc(5)). Out: figures; what cannot be read, on other systems all of it, is left out.

use std::fs;

/// Clock ticks of a second, in which proc(5) counts processor time: what user space is told is 100 on every Linux that Rust builds for.
const TICKS_A_SECOND: f64 = 100.0;

/// Of this process, now.
#[derive(Debug, Default)]
pub struct Process {
    /// Processor time, user's and system's, seconds.
    pub cpu_seconds: Option<f64>,
    /// Memory that is in memory, bytes.
    pub resident_bytes: Option<u64>,
    /// Files and sockets that are open.
    pub open_fds: Option<u64>,
    /// And how many may be.
    pub max_fds: Option<u64>,
}

impl Process {
    /// As it is.
    pub fn read() -> Process {
        let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        Process {
            cpu_seconds: ticks(&read("stat")).map(|ticks| ticks as f64 / TICKS_A_SECOND),
            resident_bytes: after("VmRSS:", &read("status")).map(|kib| kib.saturating_mul(1_024)),
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64),
            max_fds: after("Max open files", &read("limits")),
        }
    }
}

/// The fields `utime` and `stime`, counted from behind the name, which may hold blanks.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(user.saturating_add(system))
}

/// The number that follows, on the line that begins so.
fn after(beginning: &str, text: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(beginning))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_shifts_no_field() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 3 0 9 4096 77 18446744073709551615";
        assert_eq!(ticks(stat), Some(200));
        assert_eq!(ticks("7 (a) S 1"), None);
        let limits = "Max processes  9 9 processes\nMax open files            1024    4096    files\n";
        assert_eq!((after("Max open files", limits), after("Max open files", "")), (Some(1_024), None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_open_files() {
        let process = Process::read();
        assert!(process.resident_bytes.unwrap() > 1 << 20 && process.open_fds.unwrap() > 2, "{process:?}");
        assert!(process.cpu_seconds.is_some() && process.max_fds.unwrap() > 2, "{process:?}");
    }
}
