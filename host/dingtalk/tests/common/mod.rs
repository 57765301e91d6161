//! A gateway that tests script by hand: an HTTP endpoint whose answers are a function, and a WebSocket endpoint that
//! hands every accepted connection to the test.
#![allow(dead_code, reason = "every test file uses another part of it")]

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use belfry_dingtalk::{
    AppConfig, ConnectionState, OpenApi, ProxyConfig, Push, StreamClient, StreamSettings, Subscriptions,
    Transport, TransportConfig, Url,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request as Upgrade, Response as Upgraded},
    },
};

/// No condition takes this long; a test that waits for one fails after it instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

#[derive(Debug, Clone)]
pub struct Request {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An answer: status, headers, body.
pub type Answer = (u16, Vec<(&'static str, String)>, String);

pub fn answer(status: u16, body: impl ToString) -> Answer {
    (status, Vec::new(), body.to_string())
}

type Handler = Arc<Mutex<Box<dyn FnMut(&Request) -> Answer + Send>>>;

#[derive(Clone)]
pub struct HttpServer {
    pub port: u16,
    pub requests: Arc<Mutex<Vec<Request>>>,
    handler: Handler,
}

impl HttpServer {
    pub async fn start(
        tls: Option<TlsAcceptor>,
        handler: impl FnMut(&Request) -> Answer + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            handler: Arc::new(Mutex::new(Box::new(handler))),
        };
        let this = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (this, tls) = (this.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => this.serve(stream).await,
                            Err(_) => None,
                        },
                        None => this.serve(stream).await,
                    }
                });
            }
        });
        server
    }

    pub fn answer_with(&self, handler: impl FnMut(&Request) -> Answer + Send + 'static) {
        *self.handler.lock().unwrap() = Box::new(handler);
    }

    pub fn url(&self) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}/", self.port)).unwrap()
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub fn last(&self) -> Request {
        self.requests.lock().unwrap().last().cloned().unwrap()
    }

    async fn serve(&self, stream: impl Io) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok().filter(|count| *count > 0)?;
            let mut headers = Vec::new();
            loop {
                let mut header = String::new();
                stream.read_line(&mut header).await.ok()?;
                let Some((key, value)) = header.trim_end().split_once(": ") else { break };
                headers.push((key.to_owned(), value.to_owned()));
            }
            let mut request = Request { line: line.trim_end().to_owned(), headers, body: String::new() };
            let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.ok()?;
            request.body = String::from_utf8(body).unwrap();
            self.requests.lock().unwrap().push(request.clone());
            let (status, headers, body) = (self.handler.lock().unwrap())(&request);
            let mut head = format!("HTTP/1.1 {status} X\r\n");
            if headers.iter().all(|(key, _)| *key != "Transfer-Encoding") {
                head.push_str(&format!("Content-Length: {}\r\n", body.len()));
            }
            for (key, value) in headers {
                head.push_str(&format!("{key}: {value}\r\n"));
            }
            stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
        }
    }
}

pub const SECRET: &str = "hunter2";

/// Grants the tokens `token1`, `token2`, … and answers the calls of both APIs as `calls` says.
pub async fn dingtalk(mut calls: impl FnMut(&Request) -> Answer + Send + 'static) -> (HttpServer, OpenApi) {
    let mut tokens = 0;
    let http = HttpServer::start(None, move |request| {
        if request.line.contains("/v1.0/oauth2/accessToken") {
            tokens += 1;
            return answer(200, json!({"accessToken": format!("token{tokens}"), "expireIn": 7200}));
        }
        calls(request)
    })
    .await;
    let mut app = AppConfig::new("dingtest", SECRET.to_owned());
    app.api_base = http.url();
    app.oapi_base = http.url();
    let api = OpenApi::new(&transport(), &app);
    (http, api)
}

/// The gateway's end of one WebSocket.
pub struct Peer {
    pub uri: String,
    pub ws: WebSocketStream<Box<dyn Io>>,
}

impl Peer {
    pub async fn send(&mut self, frame: Value) {
        self.send_text(frame.to_string()).await;
    }

    pub async fn send_text(&mut self, text: impl Into<String>) {
        self.ws.send(Message::text(text.into())).await.unwrap();
    }

    /// The next message that is no ping or pong.
    pub async fn next(&mut self) -> Option<Message> {
        within("a message of the client", async {
            loop {
                match self.ws.next().await {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(message)) => return Some(message),
                    Some(Err(_)) | None => return None,
                }
            }
        })
        .await
    }

    /// The next ack.
    pub async fn ack(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("expected an ack, got {other:?}"),
        }
    }

    /// `(code, messageId)` of the next ack.
    pub async fn code(&mut self) -> (u64, String) {
        let ack = self.ack().await;
        (ack["code"].as_u64().unwrap(), ack["headers"]["messageId"].as_str().unwrap().to_owned())
    }

    /// Waits for the client's close frame, failing at any ack before it.
    pub async fn closed(&mut self) {
        match self.next().await {
            Some(Message::Close(_)) => {}
            other => panic!("expected a close frame, got {other:?}"),
        }
    }
}

/// Registration and WebSocket endpoint.
pub struct Gateway {
    pub http: HttpServer,
    pub peers: mpsc::UnboundedReceiver<Peer>,
    pub endpoint: String,
}

impl Gateway {
    pub async fn start() -> Self {
        Self::start_with(None, "ws://127.0.0.1", "/connect").await
    }

    /// `origin` without port.
    pub async fn start_with(tls: Option<TlsAcceptor>, origin: &str, path: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("{origin}:{}{path}", listener.local_addr().unwrap().port());
        let (sender, peers) = mpsc::unbounded_channel();
        let acceptor = tls.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, acceptor) = (sender.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let stream: Box<dyn Io> = match acceptor {
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                        None => Box::new(stream),
                    };
                    let mut uri = String::new();
                    #[expect(clippy::result_large_err, reason = "the library's type")]
                    let callback =
                        |request: &Upgrade, response: Upgraded| -> Result<Upgraded, ErrorResponse> {
                            uri = request.uri().to_string();
                            Ok(response)
                        };
                    if let Ok(ws) = accept_hdr_async(stream, callback).await {
                        let _ = sender.send(Peer { uri, ws });
                    }
                });
            }
        });
        let http = HttpServer::start(tls, granting(endpoint.clone())).await;
        Self { http, peers, endpoint }
    }

    pub fn app(&self) -> AppConfig {
        let mut app = AppConfig::new("dingtest", "the-secret".to_owned());
        app.api_base = self.http.url();
        app
    }

    /// The next WebSocket that is opened.
    pub async fn accept(&mut self) -> Peer {
        within("a WebSocket", self.peers.recv()).await.unwrap()
    }

    pub fn connect(&self, settings: StreamSettings, subscriptions: Subscriptions) -> Client {
        let (subscriptions, receiver) = watch::channel(subscriptions);
        let (client, pushes) = StreamClient::spawn(self.app(), transport(), settings, receiver);
        Client { client, pushes, subscriptions }
    }
}

/// Answers every registration with a ticket of its own.
pub fn granting(endpoint: String) -> impl FnMut(&Request) -> Answer + Send + 'static {
    let mut count = 0;
    move |_| {
        count += 1;
        answer(200, json!({"endpoint": endpoint, "ticket": format!("ticket+{count}/=")}))
    }
}

pub struct Client {
    pub client: StreamClient,
    pub pushes: mpsc::Receiver<Push>,
    pub subscriptions: watch::Sender<Subscriptions>,
}

impl Client {
    pub async fn push(&mut self) -> Push {
        within("a push", self.pushes.recv()).await.unwrap()
    }

    pub async fn state(&self, what: &str, wanted: impl FnMut(&ConnectionState) -> bool) -> ConnectionState {
        within(what, self.client.state().wait_for(wanted)).await.unwrap().clone()
    }

    pub async fn open(&self) {
        self.state("an open connection", |state| matches!(state, ConnectionState::Open { .. })).await;
    }
}

pub fn transport() -> Transport {
    Transport::new(&TransportConfig { ca_file: None, proxy: ProxyConfig::none() }).unwrap()
}

/// Settings that reconnect at once and otherwise never get in the way.
pub fn quick() -> StreamSettings {
    StreamSettings {
        backoff_base: Duration::from_millis(1),
        backoff_max: Duration::from_millis(10),
        stable_after: Duration::ZERO,
        drain_quiet: Duration::from_millis(50),
        ..StreamSettings::default()
    }
}

pub const ALL: Subscriptions = Subscriptions {
    bot_messages: true,
    delegate: true,
    card_callbacks: true,
    card_dynamic_data: true,
    graph: true,
    ipaas: true,
    events: true,
};

pub const BOT: &str = "/v1.0/im/bot/messages/get";
pub const CARD: &str = "/v1.0/card/instances/callback";

pub fn frame(kind: &str, topic: &str, id: &str, data: impl ToString) -> Value {
    json!({"specVersion": "1.0", "type": kind, "data": data.to_string(),
        "headers": {"topic": topic, "messageId": id, "contentType": "application/json", "time": "1690362102194"}})
}

pub fn bot(id: &str) -> Value {
    frame(
        "CALLBACK",
        BOT,
        id,
        json!({"conversationId": "c", "msgId": id, "msgtype": "text", "text": {"content": "x"}}),
    )
}

pub fn disconnect(id: &str) -> Value {
    frame("SYSTEM", "disconnect", id, json!({"reason": "persistent connection is timeout"}))
}

/// A bot message of about `size` bytes with its members in the order DingTalk writes them: headers before data.
pub fn big_bot(id: &str, size: usize) -> String {
    format!(
        r#"{{"specVersion":"1.0","type":"CALLBACK","headers":{{"topic":"{BOT}","messageId":"{id}"}},"data":"{}"}}"#,
        "x".repeat(size)
    )
}
