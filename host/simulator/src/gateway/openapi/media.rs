//! Files: `POST /v1.0/robot/messageFiles/download`, the address it tells, and `POST /media/upload` of the old surface.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{Asked, Refusal, check_robot, text};
use crate::fault::Place;
use crate::gateway::call::Call;
use crate::gateway::http::{Abort, Answer, answer, errcode, json_answer};
use crate::gateway::{Gateway, course};
use crate::media::{ADDRESS_TTL, Upload};
use crate::record::Happening;
use crate::socket::Switch;
use crate::state::State;

/// Where files lie.
pub(in crate::gateway) const FILES: &str = "/files/";

const MB: usize = 1 << 20;

/// Tells where a file lies.
pub(super) fn locate(
    gateway: &Gateway,
    state: &mut State,
    call: &mut Call<'_>,
    client_id: &Arc<str>,
    body: &Value,
) -> Result<Answer, Refusal> {
    check_robot(client_id, body)?;
    let code = text(body, "downloadCode").unwrap_or_default();
    let Some(content) = state.media.content(client_id, code) else {
        let reason = "downloadCode is unknown, or of a message to another robot".to_owned();
        return Err((400, "invalidParameter.robotCode.downloadCode", reason));
    };
    let ttl = gateway.real(ADDRESS_TTL);
    let name = state.media.address(content, ttl);
    call.taken = true;
    let located =
        Happening::Located { client_id: Arc::clone(client_id), code: code.to_owned(), call: call.number };
    gateway.log.write(located, code.len());
    let expires = crate::clock::wall_ms() / 1_000 + ttl.as_secs();
    // As on the real one: the signature is in the query, and whoever knows the address gets the file.
    let url = format!("{}{FILES}file?Expires={expires}&Signature={name}", gateway.base);
    Ok(json_answer(200, json!({"downloadUrl": url}).to_string()))
}

/// Serves a file.
pub(in crate::gateway) async fn file(
    gateway: &Gateway,
    request: &Request<Incoming>,
    switch: &Switch,
) -> Result<Answer, Abort> {
    let name = crate::gateway::http::query(request, "Signature").unwrap_or_default();
    let struck = gateway.strike(Place::File, None, None);
    course::run(gateway, struck, switch, None, |_, _| {
        let content = gateway.state().media.at(&name);
        match content {
            Some(content) => {
                gateway.record(Happening::Fetched { bytes: content.len() });
                answer(200, "application/octet-stream", content)
            }
            None => {
                let body = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Request has expired.</Message></Error>";
                answer(403, "application/xml", body)
            }
        }
    })
    .await
}

/// Takes a file.
pub(super) fn upload(
    gateway: &Gateway,
    state: &mut State,
    call: &mut Call<'_>,
    client_id: &Arc<str>,
    asked: &Asked,
) -> Result<Answer, Refusal> {
    let form = form(&asked.content_type, &asked.body);
    let field = |wanted: &str| form.iter().find(|(name, ..)| name == wanted);
    let media_type = field("type").map(|(_, _, value)| String::from_utf8_lossy(value).into_owned());
    let media_type = media_type.or_else(|| asked.media_type.clone()).unwrap_or_default();
    let most = match media_type.as_str() {
        "image" | "file" | "video" => 20 * MB,
        "voice" => 2 * MB,
        _ => return Err((200, "40004", format!("不合法的媒体文件类型 {media_type:?}"))),
    };
    let Some((_, Some(name), content)) = field("media") else {
        return Err((200, "40035", "the form has no file named media".to_owned()));
    };
    if content.is_empty() || content.len() > most {
        return Err((200, "40006", format!("不合法的文件大小: {} bytes, at most {most}", content.len())));
    }
    let media_id: Arc<str> = format!("@lAL{}", uuid::Uuid::new_v4().simple()).into();
    let upload = Upload {
        client_id: Arc::clone(client_id),
        media_id: Arc::clone(&media_id),
        media_type: media_type.clone(),
        name: name.clone(),
        bytes: content.len(),
    };
    call.taken = true;
    state.media.upload(upload.clone(), content.clone());
    gateway.log.write(Happening::Uploaded(upload), name.len());
    let answer = json!({"errcode": 0, "errmsg": "ok", "media_id": &*media_id, "type": media_type,
        "created_at": crate::clock::wall_ms()});
    Ok(json_answer(200, answer.to_string()))
}

/// A refusal as the old surface tells it.
pub(super) fn refusal(code: &str, reason: &str) -> Answer {
    let code = match code {
        "InvalidAuthentication" => 40_014,
        "Forbidden.AccessDenied.ApiCountLimitForOrg" => 90_020,
        "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi" => 90_018,
        other => other.parse().unwrap_or(-1),
    };
    errcode(code, reason)
}

/// The fields of a multipart form: name, file name, value. What is no form has none.
fn form(content_type: &str, body: &Bytes) -> Vec<(String, Option<String>, Bytes)> {
    let boundary = content_type
        .strip_prefix("multipart/form-data")
        .and_then(|rest| rest.split_once("boundary="))
        .map(|(_, boundary)| boundary.split(';').next().unwrap_or_default().trim().trim_matches('"'));
    let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty()) else { return Vec::new() };
    let opening = format!("--{boundary}\r\n");
    let between = format!("\r\n--{boundary}");
    let mut fields = Vec::new();
    let Some(start) = find(body, opening.as_bytes()) else { return fields };
    let mut rest = body.slice(start + opening.len()..);
    while let Some(end) = find(&rest, between.as_bytes()) {
        let part = rest.slice(..end);
        if let Some(head) = find(&part, b"\r\n\r\n") {
            let words = String::from_utf8_lossy(&part.slice(..head)).into_owned();
            if let Some(name) = parameter(&words, " name=\"") {
                fields.push((name, parameter(&words, "filename=\""), part.slice(head + 4..)));
            }
        }
        rest = rest.slice(end + between.len()..);
        if !rest.starts_with(b"\r\n") {
            break;
        }
        rest = rest.slice(2..);
    }
    fields
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// A quoted parameter of a header.
fn parameter(head: &str, name: &str) -> Option<String> {
    let (_, rest) = head.split_once(name)?;
    Some(rest.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nimage\r\n--B\r\n\
            Content-Disposition: form-data; name=\"media\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nx\r\ny\r\n--B--\r\n";
        let read = form("multipart/form-data; boundary=B", &Bytes::from_static(body.as_bytes()));
        assert_eq!(
            read,
            [
                ("type".to_owned(), None, Bytes::from_static(b"image")),
                ("media".to_owned(), Some("a.png".to_owned()), Bytes::from_static(b"x\r\ny")),
            ]
        );
        for (kind, body) in [
            ("text/plain", "x"),
            ("multipart/form-data; boundary=", "--\r\n"),
            ("multipart/form-data; boundary=B", "--B\r\n\r\n"),
        ] {
            assert_eq!(form(kind, &Bytes::from(body.to_owned())), []);
        }
    }
}
