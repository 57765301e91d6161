//! The TCP stream under every connection, with a switch to make it misbehave.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const NORMAL: u8 = 0;
/// Swallow what is written, throw away what is read.
const SILENT: u8 = 1;
/// Fail at the next use and end with FIN.
const CUT: u8 = 2;
/// Fail at the next use and end with RST.
const RESET: u8 = 3;

/// Turns the misbehaviour on, from any task.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    mode: AtomicU8,
    reader: AtomicWaker,
}

impl Switch {
    pub(crate) fn silence(&self) {
        self.set(SILENT);
    }

    pub(crate) fn cut(&self) {
        self.set(CUT);
    }

    pub(crate) fn reset(&self) {
        self.set(RESET);
    }

    fn set(&self, mode: u8) {
        self.mode.fetch_max(mode, Ordering::AcqRel);
        self.reader.wake();
    }

    fn mode(&self) -> u8 {
        self.mode.load(Ordering::Acquire)
    }

    /// Whether this side ended the connection.
    pub(crate) fn is_cut(&self) -> bool {
        self.mode() >= CUT
    }
}

#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    switch: Arc<Switch>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> (Self, Arc<Switch>) {
        let switch = Arc::new(Switch::default());
        (Self { stream, switch: Arc::clone(&switch) }, switch)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.switch.mode() == RESET {
            // Closing with lingering time zero sends RST instead of FIN.
            let _ = self.stream.set_zero_linger();
        }
    }
}

fn aborted() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionAborted)
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.switch.reader.register(cx.waker());
        match this.switch.mode() {
            NORMAL => Pin::new(&mut this.stream).poll_read(cx, buf),
            SILENT => loop {
                let mut waste = [0; 4096];
                let mut waste = ReadBuf::new(&mut waste);
                ready!(Pin::new(&mut this.stream).poll_read(cx, &mut waste))?;
                if waste.filled().is_empty() {
                    return Poll::Ready(Ok(()));
                }
            },
            _ => Poll::Ready(Err(aborted())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.switch.mode() {
            NORMAL => Pin::new(&mut this.stream).poll_write(cx, buf),
            SILENT => Poll::Ready(Ok(buf.len())),
            _ => Poll::Ready(Err(aborted())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.switch.mode() {
            // A FIN before the RST would look like an orderly end to the peer.
            RESET | SILENT => Poll::Ready(Ok(())),
            _ => Pin::new(&mut this.stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.switch.mode() {
            NORMAL => Pin::new(&mut this.stream).poll_write_vectored(cx, bufs),
            SILENT => Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum())),
            _ => Poll::Ready(Err(aborted())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
