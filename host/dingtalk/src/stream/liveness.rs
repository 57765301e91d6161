//! When to ping, and when the peer counts as dead.

use std::time::SystemTime;

use tokio::time::Instant;

use super::{StreamSettings, clock::ClockWatch};

/// What is known about the peer's life. Any inbound frame proves it; pings provoke one.
#[derive(Debug)]
pub(super) struct Liveness {
    last_inbound: Instant,
    next_ping: Instant,
    next_clock_check: Instant,
    /// Set after a clock jump: without a frame until then the peer is dead.
    suspect_until: Option<Instant>,
    clock: ClockWatch,
}

/// What is to be done now, and when to ask again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub ping: bool,
    pub clock_jumped: bool,
    pub next: Instant,
}

impl Liveness {
    pub(super) fn new(settings: &StreamSettings, now: Instant) -> Self {
        Self {
            last_inbound: now,
            next_ping: now + settings.ping_every,
            next_clock_check: now + settings.clock_check,
            suspect_until: None,
            clock: ClockWatch::new(settings.clock.now(), now),
        }
    }

    /// Something came in, or nothing was read so far, in which case silence says nothing about the peer.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_inbound = now;
        self.suspect_until = None;
    }

    pub(super) fn last_inbound(&self) -> Instant {
        self.last_inbound
    }

    /// `reading`: whether the socket is being read; else the verdict is suspended and only pings go on.
    ///
    /// # Errors
    ///
    /// Why the peer is dead.
    pub(super) fn due(
        &mut self,
        settings: &StreamSettings,
        reading: bool,
        now: Instant,
    ) -> Result<Due, String> {
        let clock_jumped =
            self.next_clock_check <= now && self.clock_jumped(settings, settings.clock.now(), now);
        if clock_jumped {
            self.suspect_until = Some(now + settings.suspect_after);
            self.next_ping = now;
        }
        let ping = self.next_ping <= now;
        if ping {
            self.next_ping = now + settings.ping_every;
        }
        let mut next = self.next_ping.min(self.next_clock_check);
        if reading {
            if self.suspect_until.is_some_and(|until| until <= now) {
                return Err(format!("no answer within {:?} of a clock jump", settings.suspect_after));
            }
            let dead_at = self.last_inbound + settings.dead_after;
            if dead_at <= now {
                return Err(format!("no frame for {:?}", settings.dead_after));
            }
            next = next.min(self.suspect_until.unwrap_or(dead_at)).min(dead_at);
        }
        Ok(Due { ping, clock_jumped, next })
    }

    fn clock_jumped(&mut self, settings: &StreamSettings, wall: SystemTime, now: Instant) -> bool {
        self.next_clock_check = now + settings.clock_check;
        let drift = self.clock.drift(wall, now);
        drift > settings.clock_jump
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use super::*;
    use crate::WallClock;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Default settings on a wall clock that the test moves, and a peer last heard now.
    fn watched() -> (StreamSettings, Arc<Mutex<SystemTime>>, Liveness, Instant) {
        let wall = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + secs(1_000_000)));
        let read = Arc::clone(&wall);
        let settings = StreamSettings {
            clock: WallClock::new(move || *read.lock().unwrap()),
            ..StreamSettings::default()
        };
        let now = Instant::now();
        let liveness = Liveness::new(&settings, now);
        (settings, wall, liveness, now)
    }

    #[test]
    fn a_ping_every_25_s_and_death_after_60_s_of_silence() {
        let (settings, wall, mut liveness, start) = watched();
        let (mut now, mut pings) = (start, Vec::new());
        let verdict = loop {
            match liveness.due(&settings, true, now) {
                Ok(due) => {
                    assert!(due.next > now && !due.clock_jumped);
                    if due.ping {
                        pings.push((now - start).as_secs());
                    }
                    *wall.lock().unwrap() += due.next - now;
                    now = due.next;
                }
                Err(reason) => break reason,
            }
        };
        assert_eq!(
            (pings, (now - start).as_secs(), verdict.as_str()),
            (vec![25, 50], 60, "no frame for 60s")
        );
    }

    #[test]
    fn a_frame_postpones_death_and_a_stall_suspends_it() {
        let (settings, _, mut liveness, start) = watched();
        liveness.heard(start + secs(40));
        assert!(liveness.due(&settings, true, start + secs(99)).is_ok());
        assert!(liveness.due(&settings, false, start + secs(500)).unwrap().ping);
        assert!(liveness.due(&settings, true, start + secs(501)).is_err());
        liveness.heard(start + secs(502));
        assert!(liveness.due(&settings, true, start + secs(503)).is_ok());
    }

    #[test]
    fn a_clock_jump_asks_for_a_sign_of_life_at_once() {
        let (settings, wall, mut liveness, start) = watched();
        *wall.lock().unwrap() += secs(3_605);
        let due = liveness.due(&settings, true, start + secs(5)).unwrap();
        assert_eq!(due, Due { ping: true, clock_jumped: true, next: start + secs(10) });
        let mut dead = liveness;
        assert!(dead.due(&settings, true, start + secs(10)).unwrap_err().contains("clock jump"));

        let (settings, wall, mut liveness, start) = watched();
        *wall.lock().unwrap() += secs(3_605);
        assert!(liveness.due(&settings, true, start + secs(5)).unwrap().clock_jumped);
        liveness.heard(start + secs(6));
        *wall.lock().unwrap() += secs(5);
        assert!(!liveness.due(&settings, true, start + secs(10)).unwrap().clock_jumped);
    }
}
