//! One POST of JSON and what can be learned from its answer, whoever gave it.

use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use crate::{json, transport::error_chain};

/// An answer is read up to here, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// No answer makes us wait longer than this.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

/// An answer.
pub(crate) struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
    pub retry_after: Option<Duration>,
    pub date: Option<SystemTime>,
}

/// What an error answer says, as far as it is DingTalk's.
#[derive(Default)]
pub(crate) struct Trouble {
    /// The body is a JSON object.
    pub json: bool,
    /// Error code of the new API.
    pub code: Option<String>,
    pub message: Option<String>,
    /// Seconds to wait, from the body.
    pub wait: Option<Duration>,
    /// The address is banned (`{"status":1111,"punish":"deny",…}`).
    pub banned: bool,
}

/// The header of the OpenAPI that carries the access token.
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-acs-dingtalk-access-token");

/// Sends `body` once, with an access token where the call takes one.
///
/// # Errors
///
/// A text that names the cause, without the address.
pub(crate) async fn post_json(
    client: &reqwest::Client,
    url: Url,
    body: String,
    token: Option<&SecretString>,
) -> Result<Reply, String> {
    let mut request = client
        .post(url)
        // Without it the gateway answers XML.
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .body(body);
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(token.expose_secret())
            .map_err(|_| "the access token holds characters that no header may".to_owned())?;
        value.set_sensitive(true);
        request = request.header(ACCESS_TOKEN, value);
    }
    let mut response = request.send().await.map_err(|error| error_chain(&error.without_url()))?;
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), SystemTime::now());
    let date = response.headers().get(DATE).and_then(parse_date);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error_chain(&error.without_url()))? {
        let room = MAX_BODY - body.len();
        body.extend(chunk.iter().take(room));
        if body.len() == MAX_BODY {
            break;
        }
    }
    Ok(Reply { status, body, retry_after, date })
}

fn parse_date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

/// `Retry-After` in either of its forms: seconds or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?;
    let wait = match value.to_str().ok()?.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => parse_date(value)?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MAX_WAIT))
}

impl Reply {
    pub(crate) fn trouble(&self) -> Trouble {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default, deserialize_with = "json::id")]
            code: Option<String>,
            #[serde(default, deserialize_with = "json::id")]
            message: Option<String>,
            #[serde(default, deserialize_with = "json::unsigned")]
            wait: Option<u64>,
            #[serde(default, deserialize_with = "json::unsigned")]
            status: Option<u64>,
            #[serde(default, deserialize_with = "json::id")]
            punish: Option<String>,
        }
        let Ok(body) = serde_json::from_slice::<Body>(&self.body) else { return Trouble::default() };
        let limit = |text: String| text.chars().take(300).collect();
        Trouble {
            json: true,
            code: body.code.map(limit),
            message: body.message.map(limit),
            wait: body.wait.map(|seconds| Duration::from_secs(seconds).min(MAX_WAIT)),
            banned: body.status == Some(1111) || body.punish.as_deref() == Some("deny"),
        }
    }

    pub(crate) fn looks_like_html(&self) -> bool {
        self.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
    }

    /// The start of the body in one line, for a person.
    pub(crate) fn start_of_body(&self) -> String {
        let start = self.body.get(..600).unwrap_or(&self.body);
        let text = String::from_utf8_lossy(start);
        let line: Vec<&str> = text.split_whitespace().collect();
        let line: String = line.join(" ").chars().take(200).collect();
        if line.is_empty() { "no body".to_owned() } else { line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("99999999999"), Some(MAX_WAIT));
        assert_eq!(read("Sun, 09 Sep 2001 01:46:45 GMT"), Some(Duration::from_secs(5)));
        assert_eq!(read("Sat, 09 Sep 2000 01:46:45 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
    }
}
