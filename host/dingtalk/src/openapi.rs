//! What an app does through the OpenAPI: the organisation's access token, messages to people and to groups (also when a
//! session webhook has expired) and taking them back, files, and cards.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{AppConfig, RateLimit, RateLimiter, Transport, advice::MINUTE, json};

mod call;
mod card;
mod error;
mod media;
mod message;
mod recall;
mod token;

pub use card::{CardTarget, NewCard, StreamState};
pub use error::{OpenApiError, OpenApiErrorKind};
pub use media::MediaKind;
pub use message::{MAX_PARAM_BYTES, OpenMessage};
pub use recall::{MAX_RECALL, Recalled};

use token::TokenCache;

/// Total time of one call.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The path of a message to people (`oToMessages`, mind the casing).
const TO_PEOPLE: &str = "v1.0/robot/oToMessages/batchSend";

/// The path of a message to a group.
const TO_GROUP: &str = "v1.0/robot/groupMessages/send";

/// People of one call; DingTalk's request table allows no more.
pub const MAX_PEOPLE: usize = 20;

/// Acts in the name of one app. Holds its access token, which nobody else sees. Cheap to clone.
///
/// Every call counts against the organisation's monthly API quota (5 000 in the standard edition); fetching the token does
/// not. Of each kind of call at most [`RateLimit::OPENAPI`] leave: further ones wait for their turn, in the order in which
/// they came. Nothing is retried here, but a call whose token was refused.
#[derive(Clone)]
pub struct OpenApi {
    http: reqwest::Client,
    app: Arc<AppConfig>,
    token: Arc<TokenCache>,
    limiter: Arc<RateLimiter>,
    calls: Arc<AtomicU64>,
}

/// What became of a message to people. **A 200 does not mean that everybody gets it.**
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentToPeople {
    /// The key for [recalling](OpenApi::recall_from_people) it.
    pub process_query_key: Option<String>,
    /// Staff ids that DingTalk does not know.
    pub invalid: Vec<String>,
    /// Staff ids that get too many messages at the moment.
    pub throttled: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToPeople<'a> {
    robot_code: &'a str,
    user_ids: &'a [String],
    msg_key: &'a str,
    msg_param: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToGroup<'a> {
    robot_code: &'a str,
    open_conversation_id: &'a str,
    msg_key: &'a str,
    msg_param: &'a str,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Sent {
    #[serde(deserialize_with = "json::id")]
    process_query_key: Option<String>,
    #[serde(deserialize_with = "json::ids")]
    invalid_staff_id_list: Vec<String>,
    #[serde(deserialize_with = "json::ids")]
    flow_controlled_staff_id_list: Vec<String>,
}

impl OpenApi {
    /// A client for `app`. No call is made yet.
    pub fn new(transport: &Transport, app: &AppConfig) -> Self {
        Self {
            http: transport.http.clone(),
            app: Arc::new(app.clone()),
            token: Arc::default(),
            limiter: Arc::new(RateLimiter::new(RateLimit::OPENAPI, call::PATHS.len())),
            calls: Arc::default(),
        }
    }

    /// With another limit for each of the calls; packages that are paid for allow 60 a second.
    pub fn with_rate_limit(self, limit: RateLimit) -> Self {
        Self { limiter: Arc::new(RateLimiter::new(limit, call::PATHS.len())), ..self }
    }

    /// How many calls have left so far, from this client and its clones: what counts against the monthly quota. Those for
    /// tokens do not count; one that was repeated with a new token counts twice.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Sends to at most [`MAX_PEOPLE`] members, by staff id. `robot_code` is the robot's, usually the ClientID.
    ///
    /// # Errors
    ///
    /// With advice on what to do, and whether it may have arrived all the same ([`OpenApiError::outcome_unknown`]). What DingTalk
    /// would refuse for certain (nobody, too many people, a message of more than [`MAX_PARAM_BYTES`]) is given up before it
    /// costs a call.
    pub async fn send_to_people(
        &self,
        robot_code: &str,
        staff_ids: &[String],
        message: &OpenMessage,
    ) -> Result<SentToPeople, OpenApiError> {
        if staff_ids.is_empty() || staff_ids.len() > MAX_PEOPLE {
            let message = format!("{} people were named; it takes 1 to {MAX_PEOPLE}", staff_ids.len());
            return Err(OpenApiError::give_up(message));
        }
        let (msg_key, msg_param) = (message.key(), param_of(message)?);
        let request = ToPeople { robot_code, user_ids: staff_ids, msg_key, msg_param };
        let sent: Sent = self.call(Method::POST, TO_PEOPLE, &request).await?;
        Ok(SentToPeople {
            process_query_key: sent.process_query_key,
            invalid: sent.invalid_staff_id_list,
            throttled: sent.flow_controlled_staff_id_list,
        })
    }

    /// Sends to a group, by its conversation id; the key for [recalling](Self::recall_from_group) it comes back.
    ///
    /// # Errors
    ///
    /// As [`send_to_people`](Self::send_to_people).
    pub async fn send_to_group(
        &self,
        robot_code: &str,
        conversation_id: &str,
        message: &OpenMessage,
    ) -> Result<Option<String>, OpenApiError> {
        let (msg_key, msg_param) = (message.key(), param_of(message)?);
        let request = ToGroup { robot_code, open_conversation_id: conversation_id, msg_key, msg_param };
        let sent: Sent = self.call(Method::POST, TO_GROUP, &request).await?;
        Ok(sent.process_query_key)
    }
}

fn param_of(message: &OpenMessage) -> Result<&str, OpenApiError> {
    let param = message.param();
    if param.len() > MAX_PARAM_BYTES {
        return Err(OpenApiError::give_up(format!(
            "the message has {} bytes; {MAX_PARAM_BYTES} are the most and no cut made it fit",
            param.len()
        )));
    }
    Ok(param)
}

impl fmt::Debug for OpenApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenApi").field("client_id", &self.app.client_id).finish_non_exhaustive()
    }
}

impl SentToPeople {
    /// Whether this one of the people gets it, and if not, what to do.
    ///
    /// # Errors
    ///
    /// Gives up on somebody whom DingTalk does not know; waits for somebody who gets too many messages.
    pub fn reached(&self, staff_id: &str) -> Result<(), OpenApiError> {
        let holds = |list: &[String]| list.iter().any(|id| id == staff_id);
        if holds(&self.invalid) {
            return Err(OpenApiError::give_up(format!("DingTalk does not know the staff id {staff_id}")));
        }
        if holds(&self.throttled) {
            let message = format!("{staff_id} gets too many messages at the moment");
            return Err(OpenApiError::wait(MINUTE, message));
        }
        Ok(())
    }
}
