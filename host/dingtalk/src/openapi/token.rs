//! The organisation's access token: fetched once for all who need it, renewed before it ends.

use std::{future::Future, sync::PoisonError, time::Duration};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

use super::{OpenApiError, TIMEOUT};
use crate::{Advice, AppConfig, advice::MINUTE, http, json};

/// Path of the token call below the API base.
const PATH: &str = "v1.0/oauth2/accessToken";

/// A token is renewed this long before it ends.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// A token that lives shorter than twice [`EARLY`] is renewed after half its life.
const fn useful_life(life: Duration) -> Duration {
    let half = Duration::from_millis(life.as_millis() as u64 / 2);
    match life.checked_sub(EARLY) {
        Some(left) if left.as_millis() > half.as_millis() => left,
        _ => half,
    }
}

/// After a renewal that failed, while the old token is still good, the next one is tried this much later.
const RENEW_AGAIN: Duration = Duration::from_secs(10);

/// The token, and who fetches the next one.
#[derive(Default)]
pub(super) struct TokenCache {
    held: std::sync::Mutex<Option<Held>>,
    /// Held by the one who fetches. Who needs the token waits for it; who only would renew it goes on with the old one.
    fetching: Mutex<Option<Refusal>>,
}

#[derive(Clone)]
struct Held {
    token: SecretString,
    fetched_at: Instant,
    renew_at: Instant,
    ends_at: Instant,
}

/// A fetch that failed, and until when others hear of it instead of trying for themselves.
struct Refusal {
    error: OpenApiError,
    failed_at: Instant,
    until: Instant,
}

/// A token and how long it lives.
pub(super) struct Fetched {
    pub token: SecretString,
    pub life: Duration,
}

impl TokenCache {
    /// The token; fetched if there is none, it is about to end, or it is the one that was `refused`.
    ///
    /// All who ask while it is fetched get what comes of it, be it an error. After an error that asks for a wait nobody
    /// fetches before that time is over.
    pub(super) async fn get<F>(
        &self,
        refused: Option<&SecretString>,
        fetch: impl FnOnce() -> F,
    ) -> Result<SecretString, OpenApiError>
    where
        F: Future<Output = Result<Fetched, OpenApiError>>,
    {
        let asked_at = Instant::now();
        // Asked anew DingTalk may grant the very token that was refused; then there is no better one.
        let good = |held: &Held| {
            held.fetched_at > asked_at || !refused.is_some_and(|token| is_same(token, &held.token))
        };
        let usable = || self.held().clone().filter(|held| good(held) && asked_at < held.ends_at);
        let mut refusal = match usable() {
            Some(held) if asked_at < held.renew_at => return Ok(held.token),
            Some(held) => match self.fetching.try_lock() {
                Ok(lock) => lock,
                Err(_) => return Ok(held.token),
            },
            None => self.fetching.lock().await,
        };
        let now = Instant::now();
        match usable() {
            // Somebody else has fetched it meanwhile.
            Some(held) if now < held.renew_at => return Ok(held.token),
            _ => {}
        }
        if let Some(told) = refusal.as_ref()
            && (told.failed_at >= asked_at || now < told.until)
        {
            let left = told.until.saturating_duration_since(now);
            return usable().map(|held| held.token).ok_or_else(|| told.error.clone().with_wait_left(left));
        }
        match fetch().await {
            Ok(Fetched { token, life }) => {
                let now = Instant::now();
                let held = Held {
                    token: token.clone(),
                    fetched_at: now,
                    renew_at: now + useful_life(life),
                    ends_at: now + life,
                };
                *self.held() = Some(held);
                *refusal = None;
                Ok(token)
            }
            Err(error) => {
                let now = Instant::now();
                let wait = match error.advice {
                    Advice::Wait(wait) => wait,
                    _ => Duration::ZERO,
                };
                *refusal = Some(Refusal { error: error.clone(), failed_at: now, until: now + wait });
                let Some(held) = usable() else { return Err(error) };
                // It is good for some minutes more.
                tracing::warn!(%error, "the access token could not be renewed yet");
                if let Some(held) = self.held().as_mut() {
                    held.renew_at = now + RENEW_AGAIN.max(wait);
                }
                Ok(held.token)
            }
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    app_key: &'a str,
    app_secret: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    access_token: String,
    /// Seconds.
    #[serde(default, deserialize_with = "json::unsigned")]
    expire_in: Option<u64>,
}

/// Asks for a token once.
pub(super) async fn fetch(http: &reqwest::Client, app: &AppConfig) -> Result<Fetched, OpenApiError> {
    let request = Request { app_key: &app.client_id, app_secret: app.client_secret.expose_secret() };
    let body = serde_json::to_string(&request).map_err(|error| OpenApiError::give_up(error.to_string()))?;
    let reply = http::post_json(http, app.api_url(PATH), body, None, TIMEOUT)
        .await
        .map_err(|failure| OpenApiError::without_answer(failure).before_the_message())?;
    match serde_json::from_slice::<Answer>(&reply.body) {
        Ok(Answer { access_token, expire_in })
            if reply.status == 200
                && HeaderValue::from_str(&access_token).is_ok_and(|text| !text.is_empty()) =>
        {
            let life = Duration::from_secs(expire_in.unwrap_or(2 * 60 * 60).min(24 * 60 * 60));
            Ok(Fetched { token: access_token.into(), life })
        }
        // `invalidClientIdOrSecret` comes with 400; an operator can mend it while the message waits.
        _ => match OpenApiError::of(&reply).before_the_message() {
            error if reply.status == 400 && !error.is_quota() => Err(error.with_advice(Advice::Wait(MINUTE))),
            error => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Source(AtomicU32, Duration);

    impl Source {
        async fn fetch(&self) -> Result<Fetched, OpenApiError> {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(Fetched { token: format!("token {number}").into(), life: self.1 })
        }

        async fn from(&self, cache: &TokenCache, refused: Option<&SecretString>) -> String {
            cache.get(refused, || self.fetch()).await.unwrap().expose_secret().to_owned()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_shares_one_fetch() {
        let (cache, source) = (TokenCache::default(), Source(AtomicU32::new(0), Duration::from_secs(7200)));
        let all = futures_util::future::join_all((0..20).map(|_| source.from(&cache, None))).await;
        assert!(all.iter().all(|token| token == "token 1"), "{all:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_by_those_who_wait_for_it() {
        let (cache, asked) = (TokenCache::default(), AtomicU32::new(0));
        let fails = || async {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            Err(OpenApiError::wait(MINUTE, "no".to_owned()))
        };
        let all = futures_util::future::join_all((0..20).map(|_| cache.get(None, fails))).await;
        assert!(all.iter().all(|got| got.is_err()));
        tokio::time::advance(MINUTE / 2).await;
        let left = cache.get(None, fails).await.unwrap_err().advice;
        assert!(matches!(left, Advice::Wait(left) if left <= MINUTE / 2), "{left:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "nobody asks before the wait is over");
        tokio::time::advance(MINUTE / 2).await;
        let source = Source(AtomicU32::new(0), Duration::from_secs(7200));
        assert_eq!(source.from(&cache, None).await, "token 1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_fails_leaves_the_old_token_until_its_end() {
        let (cache, source) = (TokenCache::default(), Source(AtomicU32::new(0), Duration::from_secs(7200)));
        source.from(&cache, None).await;
        let fails = || async { Err(OpenApiError::give_up("no".to_owned())) };
        tokio::time::advance(Duration::from_secs(7000)).await;
        assert_eq!(cache.get(None, fails).await.unwrap().expose_secret(), "token 1");
        tokio::time::advance(Duration::from_secs(200)).await;
        assert!(cache.get(None, fails).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_would_only_renew_does_not_wait_for_it() {
        let (cache, source) = (TokenCache::default(), Source(AtomicU32::new(0), Duration::from_secs(7200)));
        source.from(&cache, None).await;
        tokio::time::advance(Duration::from_secs(7000)).await;
        let hangs = cache.get(None, || async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            Err(OpenApiError::give_up("no".to_owned()))
        });
        let meanwhile = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let start = Instant::now();
            assert_eq!(source.from(&cache, None).await, "token 1");
            assert_eq!(start.elapsed(), Duration::ZERO);
        };
        let (hung, ()) = tokio::join!(hangs, meanwhile);
        assert_eq!(hung.unwrap().expose_secret(), "token 1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_granted_again_is_asked_for_once() {
        let (cache, asked) = (TokenCache::default(), AtomicU32::new(0));
        let same = || async {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(Fetched { token: "same".into(), life: Duration::from_secs(7200) })
        };
        cache.get(None, same).await.unwrap();
        let refused = "same".into();
        tokio::time::advance(MINUTE).await;
        futures_util::future::join_all((0..20).map(|_| cache.get(Some(&refused), same))).await;
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_renewed_early_and_when_refused() {
        let (cache, source) = (TokenCache::default(), Source(AtomicU32::new(0), Duration::from_secs(7200)));
        source.from(&cache, None).await;
        tokio::time::advance(Duration::from_secs(6800)).await;
        assert_eq!(source.from(&cache, None).await, "token 1");
        tokio::time::advance(Duration::from_secs(101)).await;
        assert_eq!(source.from(&cache, None).await, "token 2");
        // Somebody else was refused with the old one: the new one is good.
        assert_eq!(source.from(&cache, Some(&"token 1".into())).await, "token 2");
        assert_eq!(source.from(&cache, Some(&"token 2".into())).await, "token 3");
    }

    #[test]
    fn a_short_life_is_halved() {
        assert_eq!(useful_life(Duration::from_secs(7200)), Duration::from_secs(6900));
        assert_eq!(useful_life(Duration::from_secs(60)), Duration::from_secs(30));
        assert_eq!(useful_life(Duration::ZERO), Duration::ZERO);
    }
}
