//! One call: its turn, its token, and what came of it.

use std::{future::Future, sync::atomic::Ordering, time::Duration};

use reqwest::Method;
use secrecy::SecretString;
use serde::{Serialize, de::DeserializeOwned};

use super::{OpenApi, OpenApiError, TIMEOUT, TO_GROUP, TO_PEOPLE, card, media, recall, token};
use crate::http::{self, Failure, Reply, Request};

/// A call waits for its turn at most about so long when DingTalk has asked for a pause; for a longer one it fails at once, so
/// that the caller can put its time to better use.
const LONGEST_TURN: Duration = Duration::from_secs(2);

/// The paths that are called, each with a limit of its own.
pub(super) const PATHS: [&str; 9] = [
    TO_PEOPLE,
    TO_GROUP,
    recall::FROM_PEOPLE,
    recall::FROM_GROUP,
    media::DOWNLOAD,
    media::UPLOAD,
    card::CREATE,
    card::UPDATE,
    card::STREAM,
];

impl OpenApi {
    /// Calls `path` of the new API with a JSON body.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &'static str,
        request: &impl Serialize,
    ) -> Result<T, OpenApiError> {
        let body =
            serde_json::to_string(request).map_err(|error| OpenApiError::give_up(error.to_string()))?;
        let url = self.app.api_url(path);
        self.with_token(path, |token| {
            let (http, method, url, body) = (&self.http, method.clone(), url.clone(), body.clone().into());
            async move {
                let token = Some(&token);
                let content_type = http::JSON;
                http::send(http, Request { method, url, content_type, body, token, timeout: TIMEOUT }).await
            }
        })
        .await
    }

    /// Sends what `send` makes of the access token, when it is the turn of `path`; a token that is refused is fetched anew,
    /// once.
    pub(super) async fn with_token<T: DeserializeOwned, F>(
        &self,
        path: &'static str,
        send: impl Fn(SecretString) -> F,
    ) -> Result<T, OpenApiError>
    where
        F: Future<Output = Result<Reply, Failure>>,
    {
        let mut refused = None;
        loop {
            let token = self.token.get(refused.as_ref(), || token::fetch(&self.http, &self.app)).await?;
            if let Some(left) = self.limiter.paused(path).filter(|left| *left > LONGEST_TURN) {
                let message = format!("DingTalk asked to wait, {}s are left", left.as_secs());
                return Err(OpenApiError::wait(left, message));
            }
            // Waiting for the turn is no part of the time for the call.
            self.limiter.turn(path).await;
            self.calls.fetch_add(1, Ordering::Relaxed);
            let reply = send(token.clone()).await.map_err(OpenApiError::without_answer)?;
            if let Some(answer) = read(&reply) {
                return Ok(answer);
            }
            let error = OpenApiError::of(&reply);
            if let Some(wait) = error.holds_back() {
                PATHS.iter().filter(|other| **other == path || error.is_ban()).for_each(|path| {
                    self.limiter.pause(path, wait);
                });
            }
            if !error.is_token_refused() || refused.is_some() {
                return Err(error);
            }
            refused = Some(token);
        }
    }
}

/// The answer to a call that did its work: DingTalk's JSON without any error in it. What is missing is not made up for:
/// every member may be.
fn read<T: DeserializeOwned>(reply: &Reply) -> Option<T> {
    let trouble = reply.trouble();
    let refused = trouble.banned || trouble.code.is_some() || !trouble.json || reply.status != 200;
    if refused { None } else { serde_json::from_slice(&reply.body).ok() }
}
