//! Checksums: every row of a durable journal carries one over all that it says.

use crate::{Counter, DeadLetter, Position, Route, letters::Death};

/// A checksum over parts, each with its length, so that bytes cannot move from one to the next.
#[derive(Clone, Default)]
struct Sum(crc32fast::Hasher);

impl Sum {
    fn of(mut self, part: &[u8]) -> Self {
        self.0.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        self.0.update(part);
        self
    }

    fn number(mut self, number: u64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    fn place(self, event: Position, delivery: Option<u32>) -> Self {
        self.number(event.0).number(delivery.map_or(0, |index| u64::from(index) + 1))
    }

    fn finish(self) -> u32 {
        self.0.finalize()
    }
}

pub(super) fn event_sum(position: Position, at_ms: u64, key: &[u8], payload: &[u8], private: &[u8]) -> u32 {
    Sum::default().place(position, None).number(at_ms).of(key).of(payload).of(private).finish()
}

pub(super) fn seen_sum(position: Position, at_ms: u64, keys: &str) -> u32 {
    Sum::default().place(position, None).number(at_ms).of(keys.as_bytes()).finish()
}

pub(super) fn delivery_sum(event: Position, index: u32, at_ms: u64, payload: &[u8]) -> u32 {
    Sum::default().place(event, Some(index)).number(at_ms).of(payload).finish()
}

pub(super) fn open_sum(event: Position, delivery: Option<u32>, key: &[u8], bytes: usize) -> u32 {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    Sum::default().place(event, delivery).of(key).number(bytes).finish()
}

pub(super) fn dead_sum(death: &Death) -> u32 {
    let DeadLetter { event, delivery, reason, attempts } = &death.letter;
    let bytes = u64::try_from(death.bytes).unwrap_or(u64::MAX);
    let sum = Sum::default().place(*event, *delivery).of(death.key.as_bytes()).number(bytes);
    let sum = sum.of(reason.as_bytes()).number((*attempts).into()).number(death.at_ms);
    match &death.culprit {
        Some(culprit) => sum.of(culprit.plugin.as_bytes()).number(culprit.generation).finish(),
        None => sum.finish(),
    }
}

pub(super) fn route_sum(route: &Route) -> u32 {
    let Route { conversation, address, expires_at_ms } = route;
    Sum::default().of(conversation.as_bytes()).of(address).number(*expires_at_ms).finish()
}

pub(super) fn value_sum(bucket: &str, key: &str, value: &[u8]) -> u32 {
    Sum::default().of(bucket.as_bytes()).of(key.as_bytes()).of(value).finish()
}

pub(super) fn counter_sum(counter: &Counter) -> u32 {
    let Counter { month, name, total } = counter;
    Sum::default().number((*month).into()).of(name.as_bytes()).number(*total).finish()
}

/// A number for what is open, such that the XOR of many tells whether one is missing (the finaliser of splitmix64).
pub(super) fn scramble(event: Position, delivery: Option<u32>) -> u64 {
    let place = delivery.map_or(0, |index| u64::from(index) + 1);
    let mut x = event.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ place.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(32);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Attempts with a checksum of their own: they change while the rest of their row does not.
pub(super) fn seal_attempts(attempts: u32) -> i64 {
    let sum = Sum::default().number(attempts.into()).finish();
    ((u64::from(attempts) << 32) | u64::from(sum)).cast_signed()
}

/// None if they do not fit their checksum.
pub(super) fn attempts(sealed: i64) -> Option<u32> {
    let attempts = u32::try_from(sealed.cast_unsigned() >> 32).ok()?;
    (seal_attempts(attempts) == sealed).then_some(attempts)
}

/// Dedupe keys in one column, each behind its length.
pub(super) fn join(keys: &[String]) -> String {
    keys.iter().map(|key| format!("{}:{key}", key.len())).collect()
}

pub(super) fn split(mut joined: &str) -> Option<Vec<String>> {
    let mut keys = Vec::new();
    while !joined.is_empty() {
        let (length, rest) = joined.split_once(':')?;
        let length = length.parse().ok()?;
        keys.push(rest.get(..length)?.to_owned());
        joined = rest.get(length..)?;
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_changed_are_noticed() {
        for tries in [0, 1, 7, u32::MAX] {
            assert_eq!(attempts(seal_attempts(tries)), Some(tries));
            assert_eq!(attempts(seal_attempts(tries) ^ (1 << 40)), None);
        }
        assert_eq!(attempts(0), None);
    }

    #[test]
    fn joined_keys_can_be_told_apart() {
        let keys = ["a:1".to_owned(), String::new(), "钉".to_owned()];
        assert_eq!(split(&join(&keys)).as_deref(), Some(&keys[..]));
        assert_eq!(split("9:short"), None);
    }
}
