//! One request whose response is read while it comes. `wasi:http`, since `fetch` returns a response when it is whole.

use belfry_plugin::prelude::*;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use double::{Response, post};
#[cfg(target_arch = "wasm32")]
pub(crate) use wasi::{Response, post};

/// The scheme, host with port, and path of a URL; none if it is none of HTTP.
pub(crate) fn parts(url: &str) -> Option<(bool, &str, &str)> {
    let (secure, rest) = match url.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, url.strip_prefix("http://")?),
    };
    let (authority, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, "/"));
    (!authority.is_empty()).then_some((secure, authority, path))
}

/// The endpoint may not be reached.
#[cfg(target_arch = "wasm32")]
fn not_granted(url: &str) -> Failure {
    let (scheme, host) = match parts(url) {
        Some((true, host, _)) => ("https", host),
        Some((false, host, _)) => ("http", host),
        None => ("https", url),
    };
    Failure::permanent(format!(
        "the plugin may not reach {url}: add `http = [\"{scheme}://{host}\"]` to its table; a warning above says more"
    ))
}

#[cfg(target_arch = "wasm32")]
mod wasi {
    use belfry_plugin::prelude::Failure;
    use wasip2::http::outgoing_handler;
    use wasip2::http::types::{
        ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
        RequestOptions, Scheme,
    };
    use wasip2::io::streams::{InputStream, StreamError};

    use super::{not_granted, parts};

    /// The most that is read at once; what is there already is returned, whatever its length.
    const PIECE: u64 = 64 << 10;

    /// The most that `blocking-write-and-flush` takes.
    const WRITE: usize = 4096;

    /// A response whose body is read piece by piece. The fields are dropped in this order, as `wasi:http` wants it.
    pub(crate) struct Response {
        stream: InputStream,
        _body: IncomingBody,
        head: IncomingResponse,
    }

    /// Sends a POST of JSON and waits for the head of the response.
    pub(crate) fn post(url: &str, body: &[u8], wait_ms: u32) -> Result<Response, Failure> {
        let wrong =
            |what: &str| Failure::permanent(format!("the URL {url} has a {what} that cannot be used"));
        let (secure, authority, path) = parts(url).ok_or_else(|| wrong("scheme"))?;
        let headers =
            [("content-type", "application/json"), ("accept", "text/event-stream, application/json")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let headers = Fields::from_list(&headers).map_err(|error| Failure::permanent(error.to_string()))?;
        let request = OutgoingRequest::new(headers);
        let scheme = if secure { Scheme::Https } else { Scheme::Http };
        request.set_method(&Method::Post).map_err(|()| wrong("method"))?;
        request.set_scheme(Some(&scheme)).map_err(|()| wrong("scheme"))?;
        request.set_authority(Some(authority)).map_err(|()| wrong("host"))?;
        request.set_path_with_query(Some(path)).map_err(|()| wrong("path"))?;
        let options = RequestOptions::new();
        let wait = Some(u64::from(wait_ms) * 1_000_000);
        // A host that cannot bound these still bounds the call.
        let _ = options.set_connect_timeout(wait);
        let _ = options.set_first_byte_timeout(wait);
        let _ = options.set_between_bytes_timeout(wait);
        let outgoing = request.body().map_err(|()| Failure::permanent("the request has no body"))?;
        let pending = outgoing_handler::handle(request, Some(options)).map_err(|code| failure(url, &code))?;
        write(outgoing, body);
        let head = loop {
            match pending.get() {
                Some(Ok(Ok(head))) => break head,
                Some(Ok(Err(code))) => return Err(failure(url, &code)),
                Some(Err(())) => return Err(Failure::permanent("the response was taken before")),
                None => pending.subscribe().block(),
            }
        };
        let gone = |()| Failure::permanent("the body of the response was taken before");
        let body = head.consume().map_err(gone)?;
        let stream = body.stream().map_err(gone)?;
        Ok(Response { stream, _body: body, head })
    }

    /// Writes the body. What goes wrong here is told by the response, or by its absence.
    fn write(outgoing: OutgoingBody, body: &[u8]) {
        if let Ok(stream) = outgoing.write() {
            for piece in body.chunks(WRITE) {
                if stream.blocking_write_and_flush(piece).is_err() {
                    return;
                }
            }
        }
        let _ = OutgoingBody::finish(outgoing, None);
    }

    impl Response {
        pub(crate) fn status(&self) -> u16 {
            self.head.status()
        }

        pub(crate) fn content_type(&self) -> String {
            let values = self.head.headers().get("content-type");
            values.first().map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
        }

        /// Waits for more of the body; none at its end.
        pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
            match self.stream.blocking_read(PIECE) {
                Ok(piece) => Ok(Some(piece)),
                Err(StreamError::Closed) => Ok(None),
                Err(StreamError::LastOperationFailed(error)) => {
                    Err(Failure::temporary(error.to_debug_string()))
                }
            }
        }
    }

    fn failure(url: &str, code: &ErrorCode) -> Failure {
        match code {
            ErrorCode::HttpRequestDenied => not_granted(url),
            ErrorCode::HttpRequestUriInvalid => Failure::permanent(format!("`{url}` is no URL")),
            ErrorCode::HttpRequestBodySize(_) => Failure::permanent(
                "the request is too large: lower `history_chars`, or raise `limits.transfer` in the plugin's table",
            ),
            ErrorCode::ConnectionReadTimeout
            | ErrorCode::ConnectionTimeout
            | ErrorCode::HttpResponseTimeout => {
                Failure::temporary(format!("{url} did not answer in time (`timeout_ms`)"))
            }
            ErrorCode::InternalError(Some(words)) => Failure::temporary(words),
            code => Failure::temporary(format!("{url}: {code}")),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod double {
    //! The SDK's double of `fetch`, in small pieces. A response with the header `breaks` ends with an error.

    use super::*;

    pub(crate) struct Response {
        status: u16,
        content_type: String,
        pieces: std::vec::IntoIter<Vec<u8>>,
        breaks: bool,
    }

    pub(crate) fn post(url: &str, body: &[u8], wait_ms: u32) -> Result<Response, Failure> {
        let response = fetch::request("POST", url).with_body(body).within(wait_ms).send()?;
        let pieces: Vec<Vec<u8>> = response.body.chunks(7).map(<[u8]>::to_vec).collect();
        Ok(Response {
            status: response.status,
            content_type: response.header("content-type").unwrap_or("text/event-stream").to_owned(),
            breaks: response.header("breaks").is_some(),
            pieces: pieces.into_iter(),
        })
    }

    impl Response {
        pub(crate) fn status(&self) -> u16 {
            self.status
        }

        pub(crate) fn content_type(&self) -> String {
            self.content_type.clone()
        }

        pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
            match self.pieces.next() {
                None if self.breaks => Err(Failure::temporary("the connection broke")),
                piece => Ok(piece),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn urls_are_taken_apart() {
        assert_eq!(parts("https://a.example/v1/x?y=1"), Some((true, "a.example", "/v1/x?y=1")));
        assert_eq!(parts("http://127.0.0.1:80"), Some((false, "127.0.0.1:80", "/")));
        assert_eq!(parts("ftp://a"), None);
        assert_eq!(parts("https:///v1"), None);
    }
}
