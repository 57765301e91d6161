//! How long to wait between two tries.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// Growing pauses between tries, from about a second to `longest`, each with some chance in it.
pub(crate) fn pauses(longest: Duration) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_secs(1).min(longest))
        .with_max_delay(longest)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
        // The chance is added on top.
        .map(move |pause| pause.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_grow_to_the_longest_and_do_not_end() {
        let longest = Duration::from_secs(8);
        let pauses: Vec<Duration> = pauses(longest).take(50).collect();
        assert_eq!(pauses.len(), 50);
        assert!(
            pauses.iter().all(|pause| *pause >= Duration::from_secs(1) && *pause <= longest),
            "{pauses:?}"
        );
        assert!(pauses[49] >= longest);
    }
}
