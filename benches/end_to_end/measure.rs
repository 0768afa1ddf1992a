//! Speeds, processor time and memory of a process.

use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

/// What one run came to.
#[derive(Clone, Copy)]
pub struct Speed {
    /// Alerts a second.
    pub alerts: f64,
    /// Seconds of processor time for a million alerts.
    pub cpu: f64,
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7.0} alerts/s  {:.2} CPU s/M", self.alerts, self.cpu)
    }
}

/// Of each measure for itself.
pub fn median(speeds: &[Speed]) -> Speed {
    let middle = |of: fn(&Speed) -> f64| {
        let mut values: Vec<f64> = speeds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
    };
    Speed { alerts: middle(|s| s.alerts), cpu: middle(|s| s.cpu) }
}

/// A moment of a run: how far it was, and what it had used.
#[derive(Clone, Copy)]
pub struct Mark {
    at: Instant,
    cpu: Duration,
    alerts: i64,
}

impl Mark {
    pub fn now(pid: u32, alerts: i64) -> Mark {
        Mark { at: Instant::now(), cpu: cpu(pid), alerts }
    }

    pub fn until(&self, end: &Mark) -> Speed {
        let alerts = (end.alerts - self.alerts) as f64;
        Speed { alerts: alerts / (end.at - self.at).as_secs_f64(), cpu: (end.cpu - self.cpu).as_secs_f64() / alerts * 1e6 }
    }
}

/// Processor time of a process in user and system mode, all threads.
fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is alive");
    // The second field is the program's name in parentheses, which may hold anything; utime and stime are 14 and 15.
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
    // SAFETY: asks for a constant of the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}

/// Bytes of memory that a process holds.
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is alive");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has VmRSS");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}
