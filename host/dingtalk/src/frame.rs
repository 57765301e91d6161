//! Reading a frame: one JSON object of the gateway, parsed once and with as little copying as its escapes allow.

/// The headers of a pushed frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FrameHeaders {
    /// Id of this push; the ack carries it. A redelivery of the same content comes under a **new** id.
    pub message_id: String,
    /// The topic as sent.
    pub topic: String,
    /// When the gateway sent the frame, in ms since 1970.
    pub time: Option<u64>,
    /// Kind of an organisation event, for example `user_add_org`.
    pub event_type: Option<String>,
    /// Id of an organisation event: the same over redeliveries, hence the key to recognise them by.
    pub event_id: Option<String>,
    /// Organisation in which the event happened.
    pub event_corp_id: Option<String>,
    /// When the event happened, in ms since 1970.
    pub event_born_time: Option<u64>,
    /// App id (`appId`, or `eventUnifiedAppId` of events).
    pub app_id: Option<String>,
    /// The gateway's name of this connection.
    pub connection_id: Option<String>,
    /// Headers not named above, except `contentType`, in the order they came.
    pub other: Vec<(String, String)>,
}
