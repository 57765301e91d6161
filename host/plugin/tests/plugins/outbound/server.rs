//! A web server that does what the path says, good or bad, and remembers what it was asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The server. Its tasks end with the test's runtime.
pub struct Server {
    pub port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

impl Server {
    pub async fn start() -> Server {
        Server::listen("127.0.0.1:0", None).await.unwrap()
    }

    /// None where the machine has no such address.
    pub async fn listen(address: &str, tls: Option<TlsAcceptor>) -> Option<Server> {
        let listener = TcpListener::bind(address).await.ok()?;
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let server = Server { port, seen: Arc::clone(&seen) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                seen.connections.fetch_add(1, Ordering::Relaxed);
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &seen).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &seen).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Some(server)
    }

    /// Head and body of every request so far.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Answers requests until either side has enough.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Seen) -> Option<()> {
    let mut stream = BufStream::new(stream);
    loop {
        let request = read(&mut stream).await?;
        let line = request.lines().next()?.to_owned();
        let target = line.split(' ').nth(1)?;
        seen.requests.lock().unwrap().push(request.clone());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let answer = match path {
            "/echo" => ok(&request),
            "/loop" => "HTTP/1.1 302 Found\r\nlocation: /loop\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "/301" | "/302" | "/303" | "/307" | "/308" => {
                let status = path.trim_start_matches('/');
                format!("HTTP/1.1 {status} Moved\r\nlocation: {query}\r\ncontent-length: 0\r\n\r\n")
            }
            "/bytes" => ok(&"x".repeat(query.parse().unwrap())),
            "/headers" => {
                format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(1 << 20))
            }
            "/gone" => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_owned(),
            "/slow" => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nh".to_owned(),
            "/silent" => String::new(),
            "/endless" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
                loop {
                    stream.write_all(b"1000\r\n").await.ok()?;
                    stream.write_all(&[b'x'; 0x1000]).await.ok()?;
                    stream.write_all(b"\r\n").await.ok()?;
                }
            }
            _ => ok("hello"),
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        match path {
            "/gone" => return None,
            "/slow" | "/silent" => {
                // Until the other side hangs up.
                let _ = stream.read_u8().await;
                return None;
            }
            _ => {}
        }
    }
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nX-Server: yes\r\nConnection: keep-alive\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// One request: its head, and its body in one piece however it came.
async fn read(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let mut body = Vec::new();
    if let Some((_, rest)) = lower.split_once("content-length: ") {
        body.resize(rest.lines().next()?.parse().ok()?, 0);
        stream.read_exact(&mut body).await.ok()?;
    } else if lower.contains("transfer-encoding: chunked") {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            let length = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut piece = vec![0; length + 2];
            stream.read_exact(&mut piece).await.ok()?;
            if length == 0 {
                break;
            }
            body.extend_from_slice(&piece[..length]);
        }
    }
    Some(head + &String::from_utf8_lossy(&body))
}
