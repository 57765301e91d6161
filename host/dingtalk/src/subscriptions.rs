//! What an app asks the gateway to push.

/// The pushes to subscribe. Every push counts against the organisation's monthly quota, so ask only for what is handled.
///
/// With nothing set the client stays unconnected ([`ConnectionState::Idle`](crate::ConnectionState::Idle)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Subscriptions {
    /// Messages to the robot (`/v1.0/im/bot/messages/get`).
    pub bot_messages: bool,
    /// Messages that a member delegated to the robot (`/v1.0/im/bot/messages/delegate`).
    pub delegate: bool,
    /// Actions on interactive cards (`/v1.0/card/instances/callback`); to be answered within 2 s.
    pub card_callbacks: bool,
    /// Pulls of dynamic card data (`/v1.0/card/dynamicData/get`); to be answered within 2 s.
    pub card_dynamic_data: bool,
    /// AI assistant plugin calls (`/v1.0/graph/api/invoke`); to be answered within 3 s.
    pub graph: bool,
    /// Connector actions over Stream (`/v1.0/ipaas/proxy/callback`); to be answered within 3 s.
    pub ipaas: bool,
    /// All organisation events ticked in the developer console (`EVENT *`; the gateway knows no narrower choice).
    pub events: bool,
}

/// The topic of a push that reaches the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A message to the robot. Parse with [`BotMessage::parse`](crate::BotMessage::parse).
    BotMessage,
    /// A message delegated to the robot; the same payload with a hosting context.
    Delegate,
    /// An action on an interactive card. Parse with [`CardCallback::parse`](crate::CardCallback::parse).
    CardCallback,
    /// A pull of dynamic card data. Parse with [`DynamicDataRequest::parse`](crate::DynamicDataRequest::parse).
    CardDynamicData,
    /// An AI assistant plugin call. Parse with [`GraphRequest::parse`](crate::GraphRequest::parse).
    Graph,
    /// A connector action. Parse with [`IpaasRequest::parse`](crate::IpaasRequest::parse).
    Ipaas,
    /// An organisation event; its kind is in the headers. See [`OrgEvent`](crate::OrgEvent).
    Event,
}

impl Topic {
    /// Every topic this crate knows.
    pub const ALL: [Topic; 7] = [
        Topic::BotMessage,
        Topic::Delegate,
        Topic::CardCallback,
        Topic::CardDynamicData,
        Topic::Graph,
        Topic::Ipaas,
        Topic::Event,
    ];

    /// The topic as the gateway writes it; `*` for events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Topic::BotMessage => "/v1.0/im/bot/messages/get",
            Topic::Delegate => "/v1.0/im/bot/messages/delegate",
            Topic::CardCallback => "/v1.0/card/instances/callback",
            Topic::CardDynamicData => "/v1.0/card/dynamicData/get",
            Topic::Graph => "/v1.0/graph/api/invoke",
            Topic::Ipaas => "/v1.0/ipaas/proxy/callback",
            Topic::Event => "*",
        }
    }

    /// Whether the ack carries the result, so that somebody at DingTalk waits for it (2 s for cards, 3 s for the others).
    pub const fn is_synchronous(self) -> bool {
        matches!(self, Topic::CardCallback | Topic::CardDynamicData | Topic::Graph | Topic::Ipaas)
    }

    /// The frame type under which the topic is subscribed and pushed.
    pub(crate) const fn frame_type(self) -> &'static str {
        match self {
            Topic::Event => "EVENT",
            _ => "CALLBACK",
        }
    }

    /// The topic of a CALLBACK frame.
    pub(crate) fn of_callback(topic: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|known| *known != Topic::Event && known.as_str() == topic)
    }
}

impl Subscriptions {
    /// No subscription at all.
    pub const NONE: Subscriptions = Subscriptions {
        bot_messages: false,
        delegate: false,
        card_callbacks: false,
        card_dynamic_data: false,
        graph: false,
        ipaas: false,
        events: false,
    };

    /// Only messages to the robot.
    pub const fn bot_messages() -> Self {
        Subscriptions { bot_messages: true, ..Self::NONE }
    }

    /// Whether nothing is subscribed.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Whether `topic` is subscribed.
    pub const fn contains(&self, topic: Topic) -> bool {
        match topic {
            Topic::BotMessage => self.bot_messages,
            Topic::Delegate => self.delegate,
            Topic::CardCallback => self.card_callbacks,
            Topic::CardDynamicData => self.card_dynamic_data,
            Topic::Graph => self.graph,
            Topic::Ipaas => self.ipaas,
            Topic::Event => self.events,
        }
    }

    /// The subscribed topics.
    pub fn topics(&self) -> impl Iterator<Item = Topic> + '_ {
        Topic::ALL.into_iter().filter(|topic| self.contains(*topic))
    }
}
