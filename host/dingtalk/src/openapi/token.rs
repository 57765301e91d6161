//! The organisation's access token: fetched once for all who need it, renewed before it ends.

use std::{future::Future, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

use super::{OpenApiError, TIMEOUT};
use crate::{AppConfig, http, json};

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

/// The token, if there is one. The lock is held while it is fetched, so that all who wait get the one that was fetched.
#[derive(Default)]
pub(super) struct TokenCache {
    held: Mutex<Option<Held>>,
}

struct Held {
    token: SecretString,
    renew_at: Instant,
}

/// A token and how long it lives.
pub(super) struct Fetched {
    pub token: SecretString,
    pub life: Duration,
}

impl TokenCache {
    /// The token; fetched if there is none, it is about to end, or it is the one that was `refused`.
    pub(super) async fn get<F>(
        &self,
        refused: Option<&SecretString>,
        fetch: impl FnOnce() -> F,
    ) -> Result<SecretString, OpenApiError>
    where
        F: Future<Output = Result<Fetched, OpenApiError>>,
    {
        let mut held = self.held.lock().await;
        if let Some(held) = &*held {
            let is_refused = refused.is_some_and(|token| token.expose_secret() == held.token.expose_secret());
            if !is_refused && Instant::now() < held.renew_at {
                return Ok(held.token.clone());
            }
        }
        let Fetched { token, life } = fetch().await?;
        *held = Some(Held { token: token.clone(), renew_at: Instant::now() + useful_life(life) });
        Ok(token)
    }
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
    let reply =
        match tokio::time::timeout(TIMEOUT, http::post_json(http, app.api_url(PATH), body, None)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(failure)) => return Err(OpenApiError::retry(failure)),
            Err(_) => return Err(OpenApiError::retry(format!("no access token within {TIMEOUT:?}"))),
        };
    match serde_json::from_slice::<Answer>(&reply.body) {
        Ok(Answer { access_token, expire_in }) if reply.status == 200 => {
            let life = Duration::from_secs(expire_in.unwrap_or(2 * 60 * 60).min(24 * 60 * 60));
            Ok(Fetched { token: access_token.into(), life })
        }
        // `invalidClientIdOrSecret` comes with 400; an operator can mend it while the message waits.
        _ => match OpenApiError::of(&reply) {
            error if reply.status == 400 => {
                Err(OpenApiError { advice: crate::Advice::Wait(Duration::from_secs(60)), ..error })
            }
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
