//! A DingTalk Stream Mode SDK: it registers with the gateway, holds the WebSocket, hands every push over with a handle
//! that answers it exactly once, reads bot messages leniently and replies through the session webhook.

mod ack;
mod app;
mod dial;
mod frame;
mod guard;
mod http;
mod json;
mod message;
mod outgoing;
mod payload;
mod proxy;
mod register;
mod socket;
mod stream;
mod subscriptions;
mod transport;
mod webhook;

pub use ack::{AckHandle, DetachedAck};
pub use app::AppConfig;
pub use frame::FrameHeaders;
pub use message::{
    AtUser, BotMessage, Conversation, ConversationKind, MessageContent, PayloadError, QuotaError, Quoted,
    RichPart, Sender, redacted_raw,
};
pub use outgoing::{ActionCard, At, Buttons, CardButton, FeedLink, MAX_BODY_BYTES, OutMessage};
pub use payload::{CardCallback, DynamicDataRequest, GraphRequest, IpaasRequest, OrgEvent};
pub use proxy::ProxyConfig;
pub use register::{Registration, RegistrationError, RegistrationErrorKind, register};
pub use secrecy::SecretString;
pub use socket::{ConnectError, ConnectErrorKind, Socket, open_socket};
pub use stream::{
    ConnectionState, Push, Random, StreamClient, StreamError, StreamSettings, StreamStats, WallClock,
};
pub use subscriptions::{Subscriptions, Topic};
pub use transport::{Transport, TransportConfig, TransportError};
pub use url::Url;
pub use webhook::{Advice, SendError, SendOptions, SessionWebhook, WebhookClient, WebhookPolicy};
