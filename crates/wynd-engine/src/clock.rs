//! Time as the shard counts it: whole milliseconds since it was made.
//! The system clock is not read here or anywhere in this crate; `now` comes from the caller.

use std::time::{Duration, Instant};

/// Milliseconds since the shard was made.
pub(crate) type Tick = u64;

/// Converts between the caller's instants and ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin }
    }

    /// The tick an instant lies in; instants before the origin are the origin.
    #[inline]
    pub(crate) fn tick(self, now: Instant) -> Tick {
        ticks(now.saturating_duration_since(self.origin))
    }

    /// The instant a tick begins.
    pub(crate) fn instant(self, tick: Tick) -> Instant {
        let since = Duration::from_millis(tick);
        // Centuries ahead there is no instant; then any far one does.
        self.origin
            .checked_add(since)
            .unwrap_or(self.origin + Duration::from_secs(86_400 * 365))
    }
}

/// A duration in ticks.
#[inline]
pub(crate) fn ticks(duration: Duration) -> Tick {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

/// Draws numbers from a seed (`SplitMix64`, Steele, Lea and Flood 2014): spreads keepalives and
/// separates hash values; no secret depends on it.
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, 0 if there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // some instant is needed as the origin
    fn test_ticks_are_whole_milliseconds_since_the_origin() {
        let origin = Instant::now();
        let clock = Clock::new(origin);
        assert_eq!(clock.tick(origin), 0);
        assert_eq!(clock.tick(origin + Duration::from_micros(2_999)), 2);
        assert_eq!(clock.instant(3), origin + Duration::from_millis(3));
        assert_eq!(clock.tick(clock.instant(77)), 77);
    }

    #[test]
    fn test_draws_repeat_from_a_seed_and_stay_below_the_bound() {
        let (mut a, mut b) = (Draw::new(7), Draw::new(7));
        for _ in 0..100 {
            let drawn = a.below(25_000);
            assert_eq!(drawn, b.below(25_000));
            assert!(drawn < 25_000);
        }
        assert_eq!(a.below(0), 0);
    }
}
