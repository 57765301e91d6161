//! A bot of a few lines: plain HTTP and a bare WebSocket, so that every byte is under the test's control.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is a test, which clippy knows of functions marked as one only"
)]

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use belfry_simulator::{Simulator, SimulatorConfig, topic};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// A simulator in which a minute takes a tenth of a second, patient with a slow machine otherwise.
pub async fn fast() -> Simulator {
    let long = Duration::from_secs(1_000_000);
    start(SimulatorConfig { speed: 600.0, ticket_ttl: long, max_deliveries: 1_000, ..quiet() }).await
}

/// No pings in between, so that a test sees its own frames only.
pub fn quiet() -> SimulatorConfig {
    SimulatorConfig { ping_every: Duration::from_secs(1_000_000), ..Default::default() }
}

pub async fn start(config: SimulatorConfig) -> Simulator {
    Simulator::start(config).await.unwrap()
}

/// A simulator in real time, with defaults but for the pings.
pub async fn real() -> Simulator {
    start(quiet()).await
}

#[derive(Debug)]
pub struct Http {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Http {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// One request on a connection of its own.
pub async fn http(
    simulator: &Simulator,
    method: &str,
    path: &str,
    kind: &str,
    body: &str,
) -> io::Result<Http> {
    request(simulator, method, path, &format!("Content-Type: {kind}\r\n"), body).await
}

/// The same with any header lines.
pub async fn request(
    simulator: &Simulator,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> io::Result<Http> {
    let mut tcp = TcpStream::connect(simulator.address()).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    tcp.write_all(head.as_bytes()).await?;
    tcp.write_all(body.as_bytes()).await?;
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await?;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(k, v)| (k.to_lowercase(), v.to_owned()));
    Ok(Http { status, headers: headers.collect(), body: body.to_owned() })
}

pub async fn post(simulator: &Simulator, path: &str, body: &Value) -> io::Result<Http> {
    http(simulator, "POST", path, "application/json", &body.to_string()).await
}

/// An access token.
pub async fn token(simulator: &Simulator, client_id: &str) -> String {
    let request = json!({"appKey": client_id, "appSecret": "secret"});
    let answer = post(simulator, "/v1.0/oauth2/accessToken", &request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["accessToken"].as_str().unwrap().to_owned()
}

/// A call of the OpenAPI.
pub async fn call(simulator: &Simulator, token: &str, path: &str, body: &Value) -> io::Result<Http> {
    let headers = format!("Content-Type: application/json\r\nx-acs-dingtalk-access-token: {token}\r\n");
    request(simulator, "POST", path, &headers, &body.to_string()).await
}

pub const PEOPLE: &str = "/v1.0/robot/oToMessages/batchSend";
pub const GROUP: &str = "/v1.0/robot/groupMessages/send";

pub fn to_people(people: &[&str], text: &str) -> Value {
    let param = json!({"content": text}).to_string();
    json!({"robotCode": "app", "userIds": people, "msgKey": "sampleText", "msgParam": param})
}

pub fn to_group(group: &str, text: &str) -> Value {
    let param = json!({"title": "t", "text": text}).to_string();
    json!({"robotCode": "app", "openConversationId": group, "msgKey": "sampleMarkdown", "msgParam": param})
}

pub fn callback(topic: &str) -> Value {
    json!({"type": "CALLBACK", "topic": topic})
}

pub fn everything() -> Vec<Value> {
    let topics = [
        topic::BOT_MESSAGE,
        topic::BOT_DELEGATE,
        topic::CARD_CALLBACK,
        topic::CARD_DYNAMIC_DATA,
        topic::GRAPH,
        topic::IPAAS,
    ];
    let mut all: Vec<Value> = topics.into_iter().map(callback).collect();
    all.push(json!({"type": "EVENT", "topic": "*"}));
    all
}

pub async fn register(simulator: &Simulator, client_id: &str, subscriptions: &[Value]) -> io::Result<Http> {
    let body = json!({"clientId": client_id, "clientSecret": "secret", "subscriptions": subscriptions, "ua": "test"});
    post(simulator, "/v1.0/gateway/connections/open", &body).await
}

pub async fn ticket(simulator: &Simulator, client_id: &str, subscriptions: &[Value]) -> String {
    let answer = register(simulator, client_id, subscriptions).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    assert_eq!(answer["endpoint"], format!("ws://{}/connect", simulator.address()));
    answer["ticket"].as_str().unwrap().to_owned()
}

pub struct Bot {
    pub socket: WebSocketStream<TcpStream>,
}

impl Bot {
    pub async fn open(simulator: &Simulator, ticket: &str) -> Result<Self, Error> {
        let tcp = TcpStream::connect(simulator.address()).await?;
        let url = format!("ws://{}/connect?ticket={ticket}", simulator.address());
        let (socket, _) = tokio_tungstenite::client_async(url, tcp).await?;
        Ok(Self { socket })
    }

    /// Registers for everything and connects.
    pub async fn connect(simulator: &Simulator, client_id: &str) -> Self {
        Self::connect_for(simulator, client_id, &everything()).await
    }

    pub async fn connect_for(simulator: &Simulator, client_id: &str, subscriptions: &[Value]) -> Self {
        let before = simulator.connections(Some(client_id));
        let ticket = ticket(simulator, client_id, subscriptions).await;
        let bot = Self::open(simulator, &ticket).await.unwrap();
        simulator.wait_for_connections(Some(client_id), before + 1, PATIENCE).await.unwrap();
        bot
    }

    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("nothing came")
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Frame {
        loop {
            match self.next().await {
                Some(Ok(Message::Text(text))) => return Frame(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("no frame but {other:?}"),
            }
        }
    }

    pub async fn ack(&mut self, frame: &Frame, code: u16, data: &str) {
        let headers = json!({"contentType": "application/json", "messageId": frame.message_id()});
        let ack = json!({"code": code, "headers": headers, "message": "OK", "data": data});
        self.send(&ack.to_string()).await;
    }

    pub async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }
}

#[derive(Debug)]
pub struct Frame(pub Value);

impl Frame {
    pub fn header(&self, name: &str) -> &str {
        self.0["headers"][name].as_str().unwrap_or_default()
    }

    pub fn message_id(&self) -> &str {
        self.header("messageId")
    }

    pub fn topic(&self) -> &str {
        self.header("topic")
    }

    /// The data, decoded.
    pub fn data(&self) -> Value {
        serde_json::from_str(self.0["data"].as_str().unwrap()).unwrap()
    }

    /// Path and query of the session webhook.
    pub fn webhook(&self, simulator: &Simulator) -> String {
        let url = self.data()["sessionWebhook"].as_str().unwrap().to_owned();
        url.strip_prefix(simulator.base_url()).unwrap().to_owned()
    }
}

/// Waits until it is so.
pub async fn until(mut so: impl FnMut() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never came to be so");
}
