//! Bodies on their way between guest and network.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use sync_wrapper::SyncWrapper;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use crate::{Body, FetchError};

/// No body.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is all there.
pub(crate) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// `body`, which fails with `limit` when it turns out longer than `most` bytes.
pub(crate) fn bounded(body: Body, most: u64, limit: FetchError) -> Body {
    Bounded { body, left: most, limit }.boxed_unsync()
}

/// The whole of a body, which fails with `limit` when it is longer than `most` bytes.
///
/// # Errors
///
/// That, or the body's own.
pub(crate) async fn read(mut body: Body, most: u64, limit: FetchError) -> Result<Bytes, FetchError> {
    if body.size_hint().lower() > most {
        return Err(limit);
    }
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers are nobody's.
        let Ok(data) = frame?.into_data() else { continue };
        if (all.len() as u64).saturating_add(data.len() as u64) > most {
            return Err(limit);
        }
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

struct Bounded {
    body: Body,
    left: u64,
    limit: FetchError,
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = FetchError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FetchError>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => frame,
            other => return other,
        };
        let length = frame.data_ref().map_or(0, |data| data.remaining() as u64);
        let Some(left) = self.left.checked_sub(length) else {
            self.left = 0;
            self.body = empty();
            return Poll::Ready(Some(Err(self.limit.clone())));
        };
        self.left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// `body`, which fails with `late` when nothing of it comes for `pause`.
pub(crate) fn timed(body: Body, pause: Duration, late: FetchError) -> Body {
    Timed { body, pause, late, sleep: Box::pin(tokio::time::sleep(pause)) }.boxed_unsync()
}

struct Timed {
    body: Body,
    pause: Duration,
    late: FetchError,
    sleep: Pin<Box<Sleep>>,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = FetchError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FetchError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.sleep.as_mut().reset(Instant::now() + this.pause);
            return Poll::Ready(frame);
        }
        this.sleep.as_mut().poll(cx).map(|()| {
            this.body = empty();
            Some(Err(this.late.clone()))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A guest's body as the HTTP library wants it: to be shared between threads, which it is not.
pub(super) struct Outgoing {
    body: SyncWrapper<Body>,
    hint: SizeHint,
}

impl Outgoing {
    pub(super) fn new(body: Body) -> Self {
        Outgoing { hint: body.size_hint(), body: SyncWrapper::new(body) }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = FetchError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FetchError>>> {
        Pin::new(self.body.get_mut()).poll_frame(cx)
    }

    // Asked before the first frame only: it decides between a content-length and chunks.
    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

/// A response's body, which keeps its request counted until it is dropped.
pub(super) struct Incoming<B> {
    pub(super) body: B,
    pub(super) words: String,
    pub(super) _counted: OwnedSemaphorePermit,
}

impl<B> HttpBody for Incoming<B>
where
    B: HttpBody<Data = Bytes, Error = reqwest::Error> + Unpin,
{
    type Data = Bytes;
    type Error = FetchError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, FetchError>>> {
        let this = &mut *self;
        Pin::new(&mut this.body).poll_frame(cx).map_err(|error| {
            FetchError::Failed(format!(
                "the response of {} broke off: {}",
                this.words,
                super::client::cause(&error)
            ))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
