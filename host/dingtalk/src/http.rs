//! One request and what can be learned from its answer, whoever gave it.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use crate::{json, transport::error_chain};

/// An answer is read up to here, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// The generic refusal of the old API; its `sub_code` says what it is about.
const GENERIC: i64 = 88;

/// No answer makes us wait longer than this.
const MAX_WAIT: Duration = Duration::from_secs(60 * 60);

/// An answer.
pub(crate) struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
    pub retry_after: Option<Duration>,
    pub date: Option<SystemTime>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The cause, without the address.
    pub message: String,
    /// The time was up.
    pub timed_out: bool,
    /// The request may have arrived whole: the connection had taken its body.
    pub body_left: bool,
}

/// What an error answer says, as far as it is DingTalk's.
#[derive(Default)]
pub(crate) struct Trouble {
    /// The body is a JSON object.
    pub json: bool,
    /// Error code: `code` of the new API, else that of the old one, unless it is 0.
    pub code: Option<String>,
    /// `errcode` of the old API, 0 for success.
    pub errcode: Option<i64>,
    pub message: Option<String>,
    /// Seconds to wait, from the body.
    pub wait: Option<Duration>,
    /// The address is banned (`{"status":1111,"punish":"deny",…}`).
    pub banned: bool,
    /// Permissions that the app lacks.
    pub scopes: Vec<String>,
}

/// The header of the OpenAPI that carries the access token.
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-acs-dingtalk-access-token");

/// A request to be sent once.
pub(crate) struct Request<'a> {
    pub method: Method,
    pub url: Url,
    pub content_type: HeaderValue,
    pub body: Bytes,
    /// The access token, where it goes into the header.
    pub token: Option<&'a SecretString>,
    /// For everything, up to the end of the answer.
    pub timeout: Duration,
}

/// The type of nearly all bodies.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Posts JSON once, with an access token where the call takes one, and reads the answer, all within `timeout`.
///
/// # Errors
///
/// If there is no answer, or none that could be read.
pub(crate) async fn post_json(
    client: &reqwest::Client,
    url: Url,
    body: String,
    token: Option<&SecretString>,
    timeout: Duration,
) -> Result<Reply, Failure> {
    let body = body.into();
    send(client, Request { method: Method::POST, url, content_type: JSON, body, token, timeout }).await
}

/// Sends a request and reads the answer.
///
/// # Errors
///
/// If there is no answer, or none that could be read.
pub(crate) async fn send(client: &reqwest::Client, request: Request<'_>) -> Result<Reply, Failure> {
    let left = Arc::new(AtomicBool::new(false));
    let timeout = request.timeout;
    let exchange = exchange(client, request, Arc::clone(&left));
    let (message, timed_out) = match tokio::time::timeout(timeout, exchange).await {
        Ok(Ok(reply)) => return Ok(reply),
        Ok(Err(message)) => (message, false),
        Err(_) => (format!("no answer within {timeout:?}"), true),
    };
    Err(Failure { message, timed_out, body_left: left.load(Ordering::Relaxed) })
}

async fn exchange(
    client: &reqwest::Client,
    request: Request<'_>,
    left: Arc<AtomicBool>,
) -> Result<Reply, String> {
    let Request { method, url, content_type, body, token, .. } = request;
    let body = Watched { bytes: Some(body), left };
    let mut request = client
        .request(method, url)
        // Without it the gateway answers XML.
        .header(ACCEPT, JSON)
        .header(CONTENT_TYPE, content_type)
        .body(reqwest::Body::wrap(body));
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(token.expose_secret())
            .map_err(|_| "the access token holds characters that no header may".to_owned())?;
        value.set_sensitive(true);
        request = request.header(ACCESS_TOKEN, value);
    }
    let mut response = request.send().await.map_err(|error| error_chain(&error.without_url()))?;
    let status = response.status().as_u16();
    let date = response.headers().get(DATE).and_then(parse_date);
    // A date to wait for is one of the server's clock; ours may be set wrongly.
    let retry_after = retry_after(response.headers(), date.unwrap_or_else(SystemTime::now));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error_chain(&error.without_url()))? {
        let room = MAX_BODY - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if body.len() == MAX_BODY {
            break;
        }
    }
    Ok(Reply { status, body, retry_after, date })
}

/// A body that tells when the connection takes it. Until then nothing of it can have arrived.
struct Watched {
    bytes: Option<Bytes>,
    left: Arc<AtomicBool>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.left.store(true, Ordering::Relaxed);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
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
        let limit = |text: String| text.chars().take(300).collect();
        let (json, said) = match serde_json::from_slice::<Said<'_>>(&self.body) {
            Ok(said) => (true, said),
            Err(_) => match self.ban_in_page() {
                Some(said) => (false, said),
                None => return Trouble::default(),
            },
        };
        Trouble {
            json,
            banned: said.is_ban(),
            scopes: said.scopes(),
            errcode: said.errcode,
            code: said.telling_code().map(limit),
            message: said.words().map(limit),
            wait: said.wait.map(|seconds| Duration::from_secs(seconds).min(MAX_WAIT)),
        }
    }

    /// The notice of a ban, which may also stand inside an HTML page.
    fn ban_in_page(&self) -> Option<Said<'_>> {
        let text = std::str::from_utf8(&self.body).unwrap_or_else(|error| {
            // A page cut off at the limit, or of another encoding: up to there it is text.
            let valid = self.body.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        });
        if !text.contains("punish") && !text.contains("1111") {
            return None;
        }
        text.match_indices('{').find_map(|(at, _)| {
            let mut object = serde_json::Deserializer::from_str(text.get(at..)?);
            Said::deserialize(&mut object).ok().filter(Said::is_ban)
        })
    }

    /// Whether an answer with this status, which holds no verdict of DingTalk's, leaves open what became of the request: a
    /// server or a proxy failed after it had the body.
    pub(crate) fn leaves_open(&self) -> bool {
        matches!(self.status, 200..=299 | 500..=599)
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

/// The members of an error answer that mean something.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(default, deserialize_with = "json::id")]
    code: Option<String>,
    #[serde(default, deserialize_with = "json::id")]
    message: Option<String>,
    #[serde(default, deserialize_with = "json::signed")]
    errcode: Option<i64>,
    #[serde(default, deserialize_with = "json::id")]
    errmsg: Option<String>,
    #[serde(default, deserialize_with = "json::id")]
    sub_code: Option<String>,
    #[serde(default, deserialize_with = "json::id")]
    sub_msg: Option<String>,
    #[serde(default, deserialize_with = "json::unsigned")]
    wait: Option<u64>,
    #[serde(default, deserialize_with = "json::unsigned")]
    status: Option<u64>,
    #[serde(default, deserialize_with = "json::id")]
    punish: Option<String>,
    #[serde(borrow, default, rename = "accessdenieddetail", deserialize_with = "json::raw")]
    denied: Option<&'a RawValue>,
}

impl Said<'_> {
    fn is_ban(&self) -> bool {
        self.status == Some(1111) || self.punish.as_deref() == Some("deny")
    }

    /// The code that tells what is wrong: the old API's generic refusal says it in `sub_code`.
    fn telling_code(&self) -> Option<String> {
        let old = || match self.errcode? {
            0 => None,
            GENERIC if self.sub_code.is_some() => self.sub_code.clone(),
            errcode => Some(errcode.to_string()),
        };
        self.code.clone().or_else(old)
    }

    /// What it says in words.
    fn words(&self) -> Option<String> {
        let words: Vec<&str> = [&self.message, &self.errmsg, &self.sub_code, &self.sub_msg]
            .into_iter()
            .filter_map(|text| text.as_deref())
            .collect();
        (!words.is_empty()).then(|| words.join(": "))
    }

    fn scopes(&self) -> Vec<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Denied {
            #[serde(default, deserialize_with = "json::ids")]
            required_scopes: Vec<String>,
        }
        let denied = self.denied.and_then(|raw| serde_json::from_str::<Denied>(raw.get()).ok());
        let mut scopes = denied.map(|denied| denied.required_scopes).unwrap_or_default();
        scopes.truncate(5);
        scopes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(body: &str) -> Trouble {
        Reply { status: 200, body: body.as_bytes().to_vec(), retry_after: None, date: None }.trouble()
    }

    #[test]
    fn a_ban_is_found_in_json_and_in_a_page() {
        let notice = r#"{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"xxx"}"#;
        for page in [
            notice.to_owned(),
            format!("<!doctype html><style>p {{ color: red }}</style><script>var s = {notice};</script>"),
            format!("<html>\n<body>{notice}</body></html>"),
            format!("callback({notice})"),
        ] {
            let trouble = trouble(&page);
            assert!(trouble.banned, "{page}");
            assert_eq!(trouble.wait, Some(Duration::from_secs(5)), "{page}");
        }
        for page in ["<html>1111 {punish}</html>", "{".repeat(60_000).as_str(), "", "{}", r#"{"status":200}"#]
        {
            assert!(!trouble(page).banned, "{page}");
        }
        let deep = r#"{"punish":"#.repeat(5_000);
        assert!(!trouble(&deep).banned);
    }

    #[test]
    fn the_permissions_that_are_missing_are_read() {
        let body = r#"{"code":"x","requestid":"r","accessdenieddetail":{"requiredScopes":["qyapi_robot_sendmsg",7]}}"#;
        assert_eq!(trouble(body).scopes, ["qyapi_robot_sendmsg", "7"]);
        for body in [r#"{"accessdenieddetail":null}"#, r#"{"accessdenieddetail":{"requiredScopes":"x"}}"#] {
            let trouble = trouble(body);
            assert!(trouble.json && trouble.scopes.is_empty(), "{body}");
        }
    }

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
