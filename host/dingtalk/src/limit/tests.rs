use futures_util::future::join_all;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limiter(most: u32, max_keys: usize) -> RateLimiter {
    RateLimiter::new(RateLimit { most, within: SECOND }, max_keys)
}

fn remembered(limiter: &RateLimiter) -> usize {
    limiter.keys.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn no_window_holds_more_than_the_limit() {
    let (limiter, start) = (limiter(3, 10), Instant::now());
    let times = join_all((0..10).map(|_| async {
        limiter.turn("a").await;
        start.elapsed()
    }))
    .await;
    // tokio's timers round up to a millisecond.
    for (earlier, later) in times.iter().zip(times.iter().skip(3)) {
        assert!(*later - *earlier >= SECOND, "{times:?}");
    }
    assert!(times.is_sorted() && times[9] < 4 * SECOND, "{times:?}");
    assert_eq!(times[2], Duration::ZERO, "nobody waits within the limit");
}

#[tokio::test(start_paused = true)]
async fn keys_do_not_wait_for_each_other() {
    let (limiter, start) = (limiter(1, 10), Instant::now());
    limiter.turn("a").await;
    limiter.pause("a", 60 * SECOND);
    limiter.turn("b").await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_pause_also_holds_for_those_who_wait_already() {
    let (limiter, start) = (limiter(1, 10), Instant::now());
    limiter.turn("a").await;
    let waiting = async {
        limiter.turn("a").await;
        start.elapsed()
    };
    let pausing = async {
        tokio::time::sleep(SECOND / 2).await;
        limiter.pause("a", 5 * SECOND);
        limiter.pause("a", SECOND);
    };
    let (waited, ()) = tokio::join!(waiting, pausing);
    assert!(waited >= 5 * SECOND + SECOND / 2 && waited < 6 * SECOND, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_counts_nothing_and_blocks_nobody() {
    let (limiter, start) = (limiter(1, 10), Instant::now());
    limiter.turn("a").await;
    for _ in 0..5 {
        assert!(tokio::time::timeout(SECOND / 10, limiter.turn("a")).await.is_err());
    }
    limiter.turn("a").await;
    assert!(start.elapsed() < SECOND + SECOND / 10, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn idle_keys_are_forgotten_before_busy_ones() {
    let limiter = limiter(1, 8);
    for key in 0..7 {
        limiter.turn(&format!("idle {key}")).await;
    }
    tokio::time::advance(2 * SECOND).await;
    limiter.turn("busy").await;
    limiter.turn("new").await;
    assert_eq!(remembered(&limiter), 2);
    let start = Instant::now();
    limiter.turn("busy").await;
    assert!(start.elapsed() >= SECOND, "it was not forgotten");
}

#[tokio::test(start_paused = true)]
async fn the_number_of_keys_is_bounded_even_if_all_are_busy() {
    let limiter = limiter(1, 16);
    for key in 0..1_000 {
        limiter.turn(&key.to_string()).await;
        assert!(remembered(&limiter) <= 16);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let start = Instant::now();
    limiter.turn("999").await;
    assert!(start.elapsed() > Duration::ZERO, "the youngest are remembered");
}

#[tokio::test(start_paused = true)]
async fn extreme_settings_end_nothing() {
    let limiter = RateLimiter::new(RateLimit { most: 0, within: Duration::MAX }, 0);
    limiter.turn("a").await;
    limiter.pause("b", Duration::MAX);
    assert!(tokio::time::timeout(SECOND, limiter.turn("b")).await.is_err());
    assert_eq!(remembered(&limiter), 1);
}
