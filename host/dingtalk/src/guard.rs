//! A filter below the WebSocket library that keeps the socket alive through messages the library would end it for.
//!
//! tungstenite stops reading for good after a message over its size limit and after a text message that is not UTF-8.
//! Neither is a reason to lose a connection, so this filter walks over the frame headers the gateway sends and
//!
//! - turns text messages into binary ones: the JSON parser checks the encoding anyway, and once is enough;
//! - cuts a message over the limit down to its start (from which its `messageId` can be read) and skips the rest.
//!
//! Everything else passes through untouched and uncopied, the HTTP answer of the handshake included.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So much of a message over the limit is kept. The headers of a frame come before its data and take some 300 bytes.
const KEPT: u64 = 4096;

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const END_OF_HEAD: &[u8; 4] = b"\r\n\r\n";

/// The longest frame header: 2 bytes, 8 of length, 4 of mask.
const MAX_HEADER: usize = 14;

pub(crate) struct Guard<S> {
    inner: S,
    state: State,
    /// The start of a header whose rest has not arrived.
    held: [u8; MAX_HEADER],
    held_len: usize,
    max: u64,
    /// Bytes so far of the message whose fragments are arriving.
    message: u64,
    /// Its remaining fragments are skipped.
    skipping: bool,
    oversize: u64,
}

#[derive(Clone, Copy)]
enum State {
    /// The HTTP answer; so many bytes of the empty line have matched.
    Head(usize),
    Header,
    Payload {
        pass: u64,
        skip: u64,
    },
}

impl<S> Guard<S> {
    /// `max`: largest message in bytes.
    pub(crate) fn new(inner: S, max: usize) -> Self {
        Self {
            inner,
            state: State::Head(0),
            held: [0; MAX_HEADER],
            held_len: 0,
            max: max as u64,
            message: 0,
            skipping: false,
            oversize: 0,
        }
    }

    /// How many messages were over the limit.
    pub(crate) fn oversize(&self) -> u64 {
        self.oversize
    }

    /// Filters `bytes` in place and returns how many are left of them.
    #[expect(
        clippy::indexing_slicing,
        reason = "`kept <= at <= bytes.len()` and headers are measured before use"
    )]
    fn filter(&mut self, bytes: &mut [u8]) -> usize {
        let (mut at, mut kept) = (0, 0);
        while at < bytes.len() {
            match self.state {
                State::Head(matched) => {
                    let byte = bytes[at];
                    let matched =
                        if byte == END_OF_HEAD[matched] { matched + 1 } else { usize::from(byte == b'\r') };
                    self.state =
                        if matched == END_OF_HEAD.len() { State::Header } else { State::Head(matched) };
                    bytes[kept] = byte;
                    kept += 1;
                    at += 1;
                }
                State::Header => {
                    let rest = &bytes[at..];
                    let Some((header_len, payload)) = measure(rest) else {
                        self.held_len = rest.len();
                        self.held[..rest.len()].copy_from_slice(rest);
                        return kept;
                    };
                    let mut header = [0; MAX_HEADER];
                    header[..header_len].copy_from_slice(&rest[..header_len]);
                    at += header_len;
                    let out_len = self.header(&mut header, header_len, payload);
                    bytes[kept..kept + out_len].copy_from_slice(&header[..out_len]);
                    kept += out_len;
                }
                State::Payload { pass, skip } => {
                    let here = bytes.len() - at;
                    if pass > 0 {
                        let run = usize::try_from(pass).map_or(here, |pass| pass.min(here));
                        if kept != at {
                            bytes.copy_within(at..at + run, kept);
                        }
                        at += run;
                        kept += run;
                        self.state = State::payload(pass - run as u64, skip);
                    } else {
                        let run = usize::try_from(skip).map_or(here, |skip| skip.min(here));
                        at += run;
                        self.state = State::payload(0, skip - run as u64);
                    }
                }
            }
        }
        kept
    }

    /// Decides about the frame of this header, rewrites the header and returns its new length, never a longer one.
    fn header(&mut self, header: &mut [u8; MAX_HEADER], len: usize, payload: u64) -> usize {
        let [first, second, third, fourth, ..] = header;
        let (opcode, last) = (*first & OPCODE, *first & FIN != 0);
        let pass_all = |this: &mut Self| {
            this.state = State::payload(payload, 0);
            len
        };
        match opcode {
            TEXT | BINARY => {
                *first = (*first & !OPCODE) | BINARY;
                self.skipping = false;
                self.message = payload;
                if payload <= self.max {
                    return pass_all(self);
                }
                self.oversize += 1;
                self.skipping = !last;
                let pass = KEPT.min(self.max);
                self.state = State::payload(pass, payload - pass);
                *first |= FIN;
                let [high, low] = u16::try_from(pass).unwrap_or(0).to_be_bytes();
                if pass < 126 {
                    *second = low;
                    2
                } else {
                    // A payload over `max >= 126` had a header of at least four bytes.
                    (*second, *third, *fourth) = (126, high, low);
                    4
                }
            }
            CONTINUATION if self.skipping => {
                self.skipping = !last;
                self.state = State::payload(0, payload);
                0
            }
            CONTINUATION => {
                self.message = self.message.saturating_add(payload);
                if self.message <= self.max {
                    return pass_all(self);
                }
                self.oversize += 1;
                self.skipping = !last;
                self.state = State::payload(0, payload);
                // Ends the message where it is.
                (*first, *second) = (FIN | CONTINUATION, 0);
                2
            }
            _ => pass_all(self),
        }
    }
}

impl State {
    fn payload(pass: u64, skip: u64) -> Self {
        if pass == 0 && skip == 0 { State::Header } else { State::Payload { pass, skip } }
    }
}

/// Length of the header at the start of `bytes` and of the payload that follows; `None` if it is not all there.
fn measure(bytes: &[u8]) -> Option<(usize, u64)> {
    let second = *bytes.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (len, payload) = match second & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    (bytes.len() >= len + mask).then_some((len + mask, payload))
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let start = buf.filled().len();
        loop {
            let held = this.held.get(..this.held_len).unwrap_or_default();
            if buf.remaining() <= held.len() {
                return Poll::Ready(Err(io::Error::other("the read buffer is smaller than a frame header")));
            }
            buf.put_slice(held);
            let before = buf.filled().len();
            let read = Pin::new(&mut this.inner).poll_read(cx, buf);
            let end = buf.filled().len();
            if !matches!(read, Poll::Ready(Ok(()))) || end == before {
                buf.set_filled(start);
                return Poll::Ready(ready!(read));
            }
            this.held_len = 0;
            let kept = this.filter(buf.filled_mut().get_mut(start..).unwrap_or_default());
            buf.set_filled(start + kept);
            // Nothing left would read as the end of the stream.
            if kept > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
