//! Sends the HTTP request the message describes, and answers with what came of it. The message:
//!
//! ```text
//! fetch POST https://example.com/ 500
//! name: value
//!
//! body
//! ```
//!
//! `wasi` instead of `fetch` takes the other way. The number is the time to wait, in milliseconds; `0` waits until the end
//! of the call. The answer has the same form: status and URL, headers, body; or `error KIND: text`.

wit_bindgen::generate!({ path: "../../../../../wit", world: "belfry:bot/bot", generate_all });

use belfry::bot::fetch;
use belfry::bot::types::{Content, Failure, Message, Outcome, Reply, TextReply};
use exports::belfry::bot::message_handler::Guest;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

struct Caller;

export!(Caller);

/// What the message asks for.
struct Asked<'a> {
    method: &'a str,
    url: &'a str,
    wait: u32,
    headers: Vec<(String, String)>,
    body: &'a [u8],
}

impl Guest for Caller {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let Content::Text(text) = message.content else { return Ok(Outcome::Pass) };
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let way = words.next().unwrap_or_default();
        let method = words.next().unwrap_or_default();
        let url = words.next().unwrap_or_default();
        let wait = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let asked = Asked { method, url, wait, headers, body: body.as_bytes() };
        let answer = match way {
            "fetch" => with_fetch(&asked),
            "wasi" => with_wasi(&asked),
            // As often as `wait` says, and the last answer.
            "often" => {
                let once = Asked { wait: 0, headers: Vec::new(), ..asked };
                (1..once.wait.max(wait)).for_each(|_| drop(with_fetch(&once)));
                with_fetch(&once)
            }
            _ => Err("error asked: no such way".to_owned()),
        };
        let text = answer.unwrap_or_else(|error| error);
        Ok(Outcome::Reply(vec![Reply::Text(TextReply { text, mentions: None })]))
    }
}

fn show(status: u16, url: &str, headers: &[(String, String)], body: &[u8]) -> String {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("{status} {url}\n{headers}\n{}", String::from_utf8_lossy(body))
}

fn with_fetch(asked: &Asked<'_>) -> Result<String, String> {
    let request = fetch::Request {
        method: asked.method.to_owned(),
        url: asked.url.to_owned(),
        headers: asked.headers.clone(),
        body: (!asked.body.is_empty()).then(|| asked.body.to_vec()),
        timeout: (asked.wait > 0).then_some(asked.wait),
    };
    match fetch::fetch(&request) {
        Ok(response) => Ok(show(response.status, &response.url, &response.headers, &response.body)),
        Err(fetch::Error::NotGranted(text)) => Err(format!("error not-granted: {text}")),
        Err(fetch::Error::Invalid(text)) => Err(format!("error invalid: {text}")),
        Err(fetch::Error::Limit(text)) => Err(format!("error limit: {text}")),
        Err(fetch::Error::Timeout(text)) => Err(format!("error timeout: {text}")),
        Err(fetch::Error::Failed(text)) => Err(format!("error failed: {text}")),
    }
}

fn with_wasi(asked: &Asked<'_>) -> Result<String, String> {
    let said = |error: &dyn std::fmt::Debug| format!("error {error:?}");
    let (scheme, rest) = asked.url.split_once("://").unwrap_or(("", asked.url));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let headers: Vec<_> =
        asked.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let headers = Fields::from_list(&headers).map_err(|error| said(&error))?;
    let request = OutgoingRequest::new(headers);
    let method = match asked.method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    };
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    let _ = request.set_method(&method);
    let _ = request.set_scheme(Some(&scheme));
    request.set_authority(Some(authority)).map_err(|()| "error authority".to_owned())?;
    request.set_path_with_query(Some(path)).map_err(|()| "error path".to_owned())?;
    let options = (asked.wait > 0).then(|| {
        let options = RequestOptions::new();
        let wait = u64::from(asked.wait) * 1_000_000;
        let _ = options.set_connect_timeout(Some(wait));
        let _ = options.set_first_byte_timeout(Some(wait));
        let _ = options.set_between_bytes_timeout(Some(wait));
        options
    });
    let body = request.body().map_err(|()| "error body".to_owned())?;
    let pending = outgoing_handler::handle(request, options).map_err(|code| said(&code))?;
    if !asked.body.is_empty() {
        let stream = body.write().map_err(|()| "error stream".to_owned())?;
        for piece in asked.body.chunks(4096) {
            if stream.blocking_write_and_flush(piece).is_err() {
                break;
            }
        }
    }
    let finished = OutgoingBody::finish(body, None);
    pending.subscribe().block();
    let response = match pending.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(code))) => return Err(said(&code)),
        other => return Err(said(&other.is_some())),
    };
    finished.map_err(|code| said(&code))?;
    let headers: Vec<_> = response.headers().entries();
    let headers: Vec<_> = headers
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let body = response.consume().map_err(|()| "error consume".to_owned())?;
    let bytes = read(&body)?;
    Ok(show(response.status(), asked.url, &headers, &bytes))
}

fn read(body: &IncomingBody) -> Result<Vec<u8>, String> {
    let stream = body.stream().map_err(|()| "error stream".to_owned())?;
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(StreamError::Closed) => return Ok(all),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(format!("error after {} bytes: {}", all.len(), error.to_debug_string()));
            }
        }
    }
}
