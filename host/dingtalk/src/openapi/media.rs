//! Files that people sent to the robot, and files for messages.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method,
    header::{ACCEPT, HeaderValue, LOCATION},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{OpenApi, OpenApiError, OpenApiErrorKind};
use crate::{
    Advice,
    http::{self, Failure, Reply, Request},
    json,
    transport::error_chain,
};

/// The path that says where a file lies.
pub(super) const DOWNLOAD: &str = "v1.0/robot/messageFiles/download";

/// The path of an upload, on the old API.
pub(super) const UPLOAD: &str = "media/upload";

/// Total time for the bytes of one file.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Redirects followed on the way to a file.
const MAX_REDIRECTS: usize = 3;

const MB: usize = 1024 * 1024;

/// What a file is uploaded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// jpg, gif, png or bmp, up to 20 MB.
    Image,
    /// doc, docx, xls, xlsx, ppt, pptx, zip, pdf or rar, up to 20 MB.
    File,
    /// amr, mp3 or wav, up to 2 MB.
    Voice,
    /// mp4, up to 20 MB.
    Video,
}

impl MediaKind {
    /// Its name in DingTalk's API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::File => "file",
            Self::Voice => "voice",
            Self::Video => "video",
        }
    }

    /// The most that DingTalk takes, in bytes.
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Voice => 2 * MB,
            Self::Image | Self::File | Self::Video => 20 * MB,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Download<'a> {
    download_code: &'a str,
    robot_code: &'a str,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Place {
    #[serde(deserialize_with = "json::id")]
    download_url: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Uploaded {
    #[serde(deserialize_with = "json::id")]
    media_id: Option<String>,
}

impl OpenApi {
    /// The content behind a download code of a message to `robot_code`, at most `limit` bytes. One call; the file itself comes
    /// from a storage server, without the access token.
    ///
    /// # Errors
    ///
    /// With the [kind](OpenApiError::kind) [`CodeUnknown`](OpenApiErrorKind::CodeUnknown) or
    /// [`TooLarge`](OpenApiErrorKind::TooLarge) where that is why. Repeating it does no harm.
    pub async fn download(
        &self,
        robot_code: &str,
        download_code: &str,
        limit: usize,
    ) -> Result<Bytes, OpenApiError> {
        let request = Download { download_code, robot_code };
        let place: Place = self.call(Method::POST, DOWNLOAD, &request).await?;
        let url = place.download_url.as_deref().and_then(|url| Url::parse(url).ok());
        let Some(url) = url.filter(is_http) else {
            return Err(OpenApiError::give_up("DingTalk named no http address for the file".to_owned()));
        };
        match tokio::time::timeout(TIMEOUT, fetch(&self.http, url, limit)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(broken(&format!("it did not come within {TIMEOUT:?}"))),
        }
    }

    /// Uploads a file and returns its media id, which works in messages any number of times.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](OpenApiErrorKind::TooLarge), before it costs a call, if it is longer than
    /// [`max_bytes`](MediaKind::max_bytes); an empty one is given up alike. Repeating it does no harm.
    pub async fn upload(&self, kind: MediaKind, name: &str, data: Bytes) -> Result<String, OpenApiError> {
        let (length, most) = (data.len(), kind.max_bytes());
        if length > most {
            let message =
                format!("the file has {length} bytes; DingTalk takes at most {most} as {}", kind.as_str());
            return Err(OpenApiError::give_up_as(OpenApiErrorKind::TooLarge, message));
        }
        if data.is_empty() {
            return Err(OpenApiError::give_up("the file is empty".to_owned()));
        }
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let body = form(&boundary, kind, name, &data);
        let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"))
            .map_err(|error| OpenApiError::give_up(error.to_string()))?;
        let uploaded: Uploaded = self
            .with_token(UPLOAD, |token| {
                let request = Request {
                    method: Method::POST,
                    url: self.upload_url(kind, &token),
                    content_type: content_type.clone(),
                    body: body.clone(),
                    token: None,
                    timeout: TIMEOUT,
                };
                async move {
                    http::send(&self.http, request)
                        .await
                        .map(|reply| without(reply, &token))
                        .map_err(harmless)
                }
            })
            .await?;
        uploaded
            .media_id
            .ok_or_else(|| OpenApiError::give_up("DingTalk took the file but named no media id".to_owned()))
    }

    fn upload_url(&self, kind: MediaKind, token: &SecretString) -> Url {
        let mut url = self.app.oapi_url(UPLOAD);
        url.query_pairs_mut()
            .append_pair("access_token", token.expose_secret())
            .append_pair("type", kind.as_str());
        url
    }
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// An upload that may have arrived all the same has done nothing that shows.
fn harmless(failure: Failure) -> Failure {
    Failure { body_left: false, ..failure }
}

/// The answer without the token of its address, which a proxy's page may repeat.
fn without(reply: Reply, token: &SecretString) -> Reply {
    let encoded: String = url::form_urlencoded::byte_serialize(token.expose_secret().as_bytes()).collect();
    let text = String::from_utf8_lossy(&reply.body);
    let text = text.replace(token.expose_secret(), "[token]").replace(&encoded, "[token]");
    Reply { body: text.into_bytes(), ..reply }
}

/// The two fields of an upload.
fn form(boundary: &str, kind: MediaKind, name: &str, data: &[u8]) -> Bytes {
    // As browsers do it: what would end the quoted name is escaped by percent signs.
    let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\n{}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"media\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n",
        kind.as_str()
    );
    let mut body = BytesMut::with_capacity(head.len() + data.len() + boundary.len() + 8);
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(data);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body.freeze()
}

/// Gets a file. No error shows the address, which is as good as the file, nor a word of the server's, which may repeat it.
async fn fetch(http: &reqwest::Client, mut url: Url, limit: usize) -> Result<Bytes, OpenApiError> {
    for _ in 0..=MAX_REDIRECTS {
        let request = http.get(url.clone()).header(ACCEPT, HeaderValue::from_static("*/*"));
        let response = request.send().await.map_err(|error| broken(&error_chain(&error.without_url())))?;
        match response.status().as_u16() {
            200 => return collect(response, limit).await,
            301 | 302 | 303 | 307 | 308 => {
                let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
                let next = location.and_then(|location| url.join(location).ok()).filter(is_http);
                // Whoever sits on the way of plain http must not send us to whatever host this one can reach.
                let next = next.filter(|next| next.host() == url.host() || next.scheme() == "https");
                url = next.ok_or_else(|| {
                    OpenApiError::give_up(
                        "the file's server redirects to where no file is fetched from".to_owned(),
                    )
                })?;
            }
            status @ (408 | 429 | 500..=599) => return Err(broken(&format!("its server answered {status}"))),
            status => {
                return Err(OpenApiError::give_up(format!("get the file: its server answered {status}")));
            }
        }
    }
    Err(OpenApiError::give_up(format!("the file's server redirects more than {MAX_REDIRECTS} times")))
}

async fn collect(mut response: reqwest::Response, limit: usize) -> Result<Bytes, OpenApiError> {
    let too_large = || {
        let message = format!("the file is larger than the {limit} bytes that are allowed");
        OpenApiError::give_up_as(OpenApiErrorKind::TooLarge, message)
    };
    let length = response.content_length().and_then(|length| usize::try_from(length).ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut file = BytesMut::with_capacity(length.unwrap_or_default());
    while let Some(chunk) =
        response.chunk().await.map_err(|error| broken(&error_chain(&error.without_url())))?
    {
        if chunk.len() > limit - file.len() {
            return Err(too_large());
        }
        file.extend_from_slice(&chunk);
    }
    Ok(file.freeze())
}

fn broken(reason: &str) -> OpenApiError {
    OpenApiError::give_up(format!("get the file: {reason}")).with_advice(Advice::Retry)
}
