//! What programs cost: user and system time as Linux counts it, in hundredths of a second (`/proc/PID/stat`).

use std::fs;
use std::time::Duration;

/// The clock that the kernel tells times of processes in (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// The time that a process has spent, all its threads together; `None` when it is gone.
pub fn of_process(id: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Stat::read(&stat).map(|stat| stat.spent)
}

/// The time that all living processes of a process group have spent.
pub fn of_group(group: u32) -> Duration {
    let Ok(entries) = fs::read_dir("/proc") else { return Duration::ZERO };
    let stats = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let own = stats.filter_map(|stat| Stat::read(&stat)).filter(|stat| stat.group == group);
    own.map(|stat| stat.spent).sum()
}

struct Stat {
    group: u32,
    spent: Duration,
}

impl Stat {
    /// Fields behind the name, which is in parentheses and may have any character in it.
    fn read(stat: &str) -> Option<Stat> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
        Some(Stat { group: number(2)?, spent: TICK * (number(11)? + number(12)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) R 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        let read = Stat::read(stat).unwrap();
        assert_eq!((read.group, read.spent), (42, Duration::from_secs(2)));
    }
}
