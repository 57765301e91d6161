//! A DingTalk Stream Mode SDK: it registers with the gateway, holds the WebSocket, hands every push over with a handle
//! that answers it exactly once, reads bot messages leniently and replies through the session webhook.
//!
//! # An echo bot
//!
//! This is `examples/echo.rs`, complete:
//!
//! ```no_run
#![doc = include_str!("../examples/echo.rs")]
//! ```
//!
//! # What to know
//!
//! **Connecting.** [`StreamClient::spawn`] starts a task that registers, connects, and from then on heals itself: the
//! [`ConnectionState`] is there to be shown, not to be acted upon. A wrong ClientSecret, or an app whose message mode is
//! not Stream, shows as [`Misconfigured`](ConnectionState::Misconfigured) with a hint. When the gateway announces the end
//! of a connection (it does so every few hours), the next one is open before the old one is given up. The same happens
//! when the [`Subscriptions`] change.
//!
//! **Acks.** Each [`Push`] carries an [`AckHandle`]. Answer it when the message is safe, at the latest 3 s after it came;
//! what is not answered comes again after about 60 s, under another `message_id` but with the same
//! [`msg_id`](BotMessage::msg_id). This crate does not recognise repetitions: the place to do so is where the messages are
//! stored. Answering never blocks. At most [`StreamSettings::unacked`] messages and events can be unanswered; beyond, the
//! socket is not read until one is.
//!
//! **Callbacks that carry a result** ([`Topic::is_synchronous`]) are answered with [`AckHandle::respond`], cards within 2 s.
//!
//! **Replies** go to the [`SessionWebhook`] of the message they answer, through a [`WebhookClient`]. DingTalk answers 200
//! to refusals too; [`SendError::advice`] says whether to try again, to wait, or to let it be, and
//! [`SendError::outcome_unknown`] whether it may have arrived all the same. Nothing is retried here.
//!
//! **After a session webhook's end** (about 90 minutes after the message) only the OpenAPI reaches the conversation:
//! [`OpenApi`] sends to people and to groups, with an access token that it holds itself. Its calls are a monthly quota, and
//! it mentions nobody. [`OutMessage::from_body`] reads back a body that was rendered for a webhook. What went this way can be
//! recalled for a day.
//!
//! **Files and cards** are the OpenAPI's too: [`OpenApi::download`] for what people sent, [`OpenApi::upload`] for pictures and
//! files in messages, [`OpenApi::create_card`], [`OpenApi::update_card`] and [`OpenApi::stream_card`] for cards.
//! [`OpenApiError::kind`] tells what callers may want to treat in a way of their own.
//!
//! **Limits.** [`OpenApi`] keeps DingTalk's 20 calls a second by itself. Replies are for the caller to keep within 20 a minute
//! for each conversation, with a [`RateLimiter`] of [`RateLimit::REPLIES`].
//!
//! **Secrets.** ClientSecret, access token, ticket and session webhook appear in no `Debug`, error or log line. The payload of a bot
//! message contains the webhook: [`BotMessage::parse_and_redact`] reads it and gives the payload without it.
//!
//! **Bad input** ends nothing: what is no frame is counted ([`StreamStats`]), logged a few times and otherwise ignored, a
//! message over the size limit is skipped, and payload fields of the wrong type count as missing.
//!
//! **Cost.** One task owns a socket: frames are parsed once and in place, acks of one moment leave in one write, and nothing
//! is spawned per frame. It runs well on a current-thread runtime; take the pushes in a spawned task there, as the example
//! does.
//!
//! # Modules, from the wire upwards
//!
//! | Module | What it does |
//! |---|---|
//! | `proxy`, `transport`, `dial` | which way connections go, TLS, one POST |
//! | `guard`, `socket` | the WebSocket, and what keeps it alive through bad messages |
//! | `register` | endpoint and ticket; what refusals mean |
//! | `frame`, `ack` | frames in, answers out |
//! | `stream` | the task per socket and the supervisor above it |
//! | `message`, `payload` | what the pushes say |
//! | `outgoing`, `webhook` | replies |
//! | `verdict`, `advice` | what answers mean, and what to do then |
//! | `openapi` | messages without a webhook, files, cards |
//! | `limit` | waiting, so that no limit of DingTalk's is exceeded |

mod ack;
mod advice;
mod app;
mod dial;
mod frame;
mod guard;
mod http;
mod json;
mod limit;
mod message;
mod openapi;
mod outgoing;
mod payload;
mod proxy;
mod register;
mod socket;
mod stream;
mod subscriptions;
mod transport;
mod verdict;
mod webhook;

pub use ack::{AckHandle, DetachedAck};
pub use advice::Advice;
pub use app::AppConfig;
pub use frame::FrameHeaders;
pub use limit::{RateLimit, RateLimiter};
pub use message::{
    AtUser, BotMessage, Conversation, ConversationKind, MessageContent, PayloadError, QuotaError, Quoted,
    RichPart, Sender,
};
pub use openapi::{
    CardTarget, MAX_PARAM_BYTES, MAX_PEOPLE, MAX_RECALL, MediaKind, NewCard, OpenApi, OpenApiError,
    OpenApiErrorKind, OpenMessage, Recalled, SentToPeople, StreamState,
};
pub use outgoing::{ActionCard, At, Buttons, CardButton, FeedLink, MAX_BODY_BYTES, OutMessage};
pub use payload::{CardCallback, DynamicDataRequest, GraphRequest, IpaasRequest, OrgEvent};
pub use proxy::ProxyConfig;
pub use register::{Registration, RegistrationError, RegistrationErrorKind, register};
pub use secrecy::SecretString;
pub use socket::{ConnectError, ConnectErrorKind, Socket, open_socket};
pub use stream::{
    ConnectionState, Push, Random, StreamClient, StreamError, StreamMeter, StreamSettings, StreamStats,
    WallClock,
};
pub use subscriptions::{Subscriptions, Topic};
pub use transport::{Transport, TransportConfig, TransportError};
pub use url::Url;
pub use webhook::{SendError, SendOptions, SessionWebhook, WebhookClient, WebhookPolicy};
