//! Processor time of a process, from `/proc/<pid>/stat` (proc(5)).

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A process whose use of the processor is measured.
#[derive(Debug)]
pub struct Meter {
    pid: u32,
    since: Instant,
    used: Duration,
}

impl Meter {
    /// From now on.
    pub fn start(pid: u32) -> Result<Self> {
        Ok(Self { pid, since: Instant::now(), used: used(pid)? })
    }

    /// Cores in use on average since the start: 1.0 is one of them, all the time.
    pub fn cores(&self) -> Result<f64> {
        let used = used(self.pid)?.saturating_sub(self.used);
        Ok(used.as_secs_f64() / self.since.elapsed().as_secs_f64())
    }
}

fn used(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // The second field, a name in brackets, may hold anything.
    let (_, fields) = text.rsplit_once(')').with_context(|| format!("{path} is not understood"))?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // utime and stime are fields 14 and 15.
    let ticks = |index: usize| -> Result<u64> {
        Ok(fields.get(index - 3).with_context(|| format!("{path} ends early"))?.parse()?)
    };
    let ticks = ticks(14)? + ticks(15)?;
    Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_the_processor() {
        let meter = Meter::start(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while used(meter.pid).unwrap() == meter.used {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(meter.cores().unwrap() > 0.0);
    }
}
