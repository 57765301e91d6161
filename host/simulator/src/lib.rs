//! A DingTalk Stream Mode gateway on loopback.
//!
//! Bots built on any DingTalk Stream SDK run against it unchanged: it registers them, holds their WebSockets, pushes
//! messages, events and callbacks, takes acks and redelivers what was not acked, takes replies through session
//! webhooks, and misbehaves on demand. Everything that happens is recorded. It knows nothing of Belfry, so that a mistake
//! is not made twice the same way.
//!
//! ```no_run
//! use std::time::Duration;
//! use belfry_simulator::{Person, Say, Simulator, SimulatorConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let simulator = Simulator::start(SimulatorConfig::default()).await?;
//! println!("point a bot at {}", simulator.base_url());
//! // With no bot connected yet, the message waits for one.
//! simulator.say(Say::private("cidA==", Person::staff("manager1234", "Alex"), "hello"));
//! let patience = Duration::from_secs(10);
//! match simulator.wait_for_reply(1, "cidA==", "hello", patience).await {
//!     Ok(reply) => println!("{}", reply.text()),
//!     Err(missing) => println!("{missing}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it serves
//!
//! | Path | What |
//! |---|---|
//! | `POST /v1.0/gateway/connections/open` | registration; the ticket is for one connection within 90 s |
//! | `GET /connect?ticket=…` | the WebSocket |
//! | `POST /robot/sendBySession?session=…` | a reply: HTTP 200, `errcode` decides |
//! | `POST /v1.0/oauth2/accessToken`, `GET /gettoken` | access tokens |
//! | `POST /v1.0/robot/oToMessages/batchSend` | a message to people, by staff id |
//! | `POST /v1.0/robot/groupMessages/send` | a message to a group |
//! | `POST /v1.0/robot/otoMessages/batchRecall`, `…/groupMessages/recall` | taking such messages back, within a day |
//! | `POST /v1.0/robot/messageFiles/download`, `GET /files/…` | a file that somebody sent to the bot |
//! | `POST /media/upload` | a file for messages |
//! | `POST /v1.0/card/instances/createAndDeliver` | a new card |
//! | `PUT /v1.0/card/instances`, `PUT /v1.0/card/streaming` | variables of a card; a text that grows in one |
//! | `/_simulator/…` | control, below |
//!
//! Where DingTalk's own behaviour is undocumented, the field reports decide: an unacked push comes again after about 60 s
//! under a new `messageId` and the same `msgId`; an event acked with `LATER` or 500 too; one session webhook serves a
//! conversation, and each message moves its end to 90 minutes ahead; each push goes to a random one of the app's
//! connections; a connection that was sent `disconnect` gets no more pushes and is closed 10 s later.
//!
//! The OpenAPI checks the access token, the robot code (the client id), `msgKey` and `msgParam`. It takes messages to any
//! group that is not known as a private conversation, and to anybody: a [`Fault`] decides who is unknown or throttled. A
//! person's message is recorded in the private conversation in which they last spoke with the bot. Limits are off until set.
//!
//! A card can have any template: [`Fault::template_unknown`] is for the others. Its `outTrackId` is taken for good, its values must
//! be texts, `content` of a streaming call must not be empty. What it shows is in [`Simulator::cards`], also what the answer
//! to a callback ([`Simulator::press`]) changes. Download codes are good once they were pushed, for the app that got them; the
//! file is what [`Simulator::put_file`] gave, or a sample, at an address that is good for an hour.
//!
//! Which replies were taken, and which of their senders cannot know it, is said by the records: see [`reply`].
//!
//! Not so on the real gateway: a push for which no connection is open waits for one, without a time limit.
//!
//! # Control from other processes
//!
//! JSON in and out, an error is `{"error": "…"}`. Bodies have the fields of the types named.
//!
//! | Path | Body | Answer |
//! |---|---|---|
//! | `POST /_simulator/say` | [`Say`] | `{"push", "msgId"}` |
//! | `POST /_simulator/push` | `{"push": `[`Push`]`, "waitMs"}` | [`Pushed`]; with `waitMs` [`Acked`], or 504 |
//! | `POST /_simulator/event` | `{"eventType", "data"?, "clientId"?}` | [`Pushed`] |
//! | `POST /_simulator/press` | [`Press`] | [`Pushed`] |
//! | `GET /_simulator/cards` | | `[`[`Card`]`]` |
//! | `POST /_simulator/file?code=…` | bytes, up to 2 MiB | `{"code"}`; the content behind this download code |
//! | `POST /_simulator/raw` | `{"text", "clientId"?}` | `{"count"}` of connections |
//! | `POST /_simulator/ping` | `{"clientId"?}` | the same |
//! | `POST /_simulator/disconnect` | `{"clientId"?, "reason"?}` | the same |
//! | `POST /_simulator/drop` | `{"clientId"?, "how": `[`Cut`]`}` | the same |
//! | `POST /_simulator/expire` | `{"clientId"?, "conversation"?}` | `{"count"}` of sessions |
//! | `POST /_simulator/expire-tokens` | `{"clientId"?}` | `{"count"}` of access tokens |
//! | `POST /_simulator/speed` | `{"speed"}` | `{"speed"}` |
//! | `POST /_simulator/settings` | `{"speed"?, "honourMsgUuid"?, "limits"?: `[`Limits`]`}` | as the next; new limits count from then |
//! | `GET /_simulator/settings` | | `{"seed", "speed", "honourMsgUuid", "limits"}`; the seed is a text |
//! | `POST /_simulator/faults` | [`Fault`] | `{"fault"}`, its id |
//! | `GET /_simulator/faults` | | `[{"id", "fault"}]` |
//! | `DELETE /_simulator/faults` | `{"fault"?}` | `{"count"}` |
//! | `GET /_simulator/records?since=1&limit=1000&waitMs=0` | | [`Page`]; waits up to `waitMs` (at most 60 s) for something new |
//! | `GET /_simulator/stats` | | [`Stats`] |
//!
//! # Bounds
//!
//! All that is kept has a bound, set in [`SimulatorConfig`], and what happens there is said at each setting: old records
//! and sessions are forgotten, old pushes given up, further sockets closed. There is no authentication, also of the control
//! API: listen on loopback.

mod api;
mod card;
mod clock;
mod config;
mod draw;
pub mod fault;
mod gateway;
mod log;
mod media;
mod payload;
mod push;
mod record;
pub mod reply;
mod say;
pub mod scenario;
mod sent;
mod sessions;
mod simulator;
mod socket;
mod state;
mod tokens;
mod usage;

pub use card::{Card, CardChange, CardData, CardSpace, CardStep, Flow, Press};
pub use config::{Credential, Credentials, Limits, SimulatorConfig};
pub use fault::{Action, Cut, Fault, FaultId, Place};
pub use media::Upload;
pub use push::{Acked, CallError, FrameType, Push, Pushed, topic};
pub use record::{ClosedBy, Happening, NotSeen, Page, Record, Sent, Stats, Subscription};
pub use reply::{OutcomeUnknown, Reply, Told, Via};
pub use say::{Content, Delegate, Person, Quoted, QuotedContent, RichRun, Say, conversation_id};
pub use simulator::{Simulator, StartError, Watch};
