//! Helpers that stay awake for a moment after a short call, for the next one.
//!
//! Who sends one query after another, as a benchmark or a busy service does, has the next call within some ten microseconds; waking a
//! thread takes longer than that.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use models::Team;

/// How long a helper looks for another call: longer than a caller needs between two, and too short to be seen in a processor's load.
const PATIENCE: Duration = Duration::from_micros(100);

/// Looks between two at the clock.
const LOOKS: u32 = 16;

/// Where callers meet the helpers of earlier calls.
#[derive(Default)]
pub(crate) struct Standby {
    /// Helpers that look for a team, less the teams that were left for them.
    waiting: AtomicUsize,
    /// Number of teams in `left`, so that helpers need not lock to look.
    teams: AtomicUsize,
    left: Mutex<Vec<Arc<Team>>>,
}

impl Standby {
    /// Leaves `team` for a helper that is awake; gives it back where there is none.
    pub(crate) fn leave(&self, team: Arc<Team>) -> Result<(), Arc<Team>> {
        if !self.take_one_off() {
            return Err(team);
        }
        self.left.lock().unwrap_or_else(PoisonError::into_inner).push(team);
        self.teams.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Helps `team`, then each that is left within a moment, unless the processor is `wanted` by others.
    pub(crate) fn help(&self, team: &Team, wanted: impl Fn() -> bool) {
        team.help();
        while let Some(team) = self.next(&wanted) {
            team.help();
        }
    }

    fn next(&self, wanted: impl Fn() -> bool) -> Option<Arc<Team>> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if let Some(team) = self.found() {
                    return Some(team);
                }
                std::hint::spin_loop();
            }
            // Nobody can be taken off where a team was left: then it is this helper's to find.
            if (wanted() || start.elapsed() > PATIENCE) && self.take_one_off() {
                return None;
            }
        }
    }

    /// A team that was left.
    fn found(&self) -> Option<Arc<Team>> {
        if self.teams.load(Ordering::Acquire) == 0 {
            return None;
        }
        let team = self.left.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        self.teams.fetch_sub(1, Ordering::Release);
        Some(team)
    }

    /// Counts one waiting helper less, if there is one.
    fn take_one_off(&self) -> bool {
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| count.checked_sub(1)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_without_helpers_comes_back() {
        let standby = Standby::default();
        assert!(standby.leave(Team::new(2)).is_err());
        let team = Team::new(2);
        team.end();
        standby.help(&team, || false);
        assert!(standby.leave(Team::new(2)).is_err(), "the helper has lost its patience");
    }

    #[test]
    fn a_helper_goes_at_once_where_it_is_in_the_way() {
        let standby = Standby::default();
        assert!(standby.next(|| true).is_none());
        assert_eq!(standby.waiting.load(Ordering::Relaxed), 0);
    }

    /// Whoever is slow: every team that was left is helped, and afterwards nobody waits.
    #[test]
    fn every_team_that_is_left_finds_a_helper() {
        let standby = Standby::default();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let ended = Team::new(2);
                    ended.end();
                    for _ in 0..200 {
                        standby.help(&ended, || false);
                    }
                });
            }
            let mut left = 0;
            for pause in (0..60).cycle().take(3_000) {
                let team = Team::new(2);
                let seen = Arc::downgrade(&team);
                team.end();
                if standby.leave(team).is_ok() {
                    left += 1;
                    while seen.strong_count() > 0 {
                        std::thread::yield_now();
                    }
                }
                std::thread::sleep(Duration::from_micros(pause));
            }
            assert!(left > 0, "no helper was ever awake");
        });
        assert_eq!(standby.waiting.load(Ordering::Relaxed), 0);
        assert_eq!(standby.teams.load(Ordering::Relaxed), 0);
    }
}
