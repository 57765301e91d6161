//! Reading a frame: one JSON object of the gateway, parsed once and with as little copying as its escapes allow.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    Subscriptions, Topic, ack,
    json::{self, CowStr, Members, Scalar},
};

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

/// What a frame asks for.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// To be answered with this text at once.
    Answer { ack: String, note: Note },
    /// The gateway is about to close this socket.
    Disconnect { ack: String, reason: String },
    /// To be handed over.
    Push(Box<Pushed>),
    /// Nothing to be done but to count it: why.
    Ignore { malformed: bool, why: String },
}

/// A frame of a subscribed topic.
#[derive(Debug)]
pub(crate) struct Pushed {
    pub topic: Topic,
    pub headers: FrameHeaders,
    pub data: String,
}

/// Why a frame was answered in the read path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Note {
    System,
    UnknownTopic(String),
    Malformed(String),
    Garbage(String),
}

/// Decides what to do with one message of the socket.
pub(crate) fn classify(message: &[u8], subscriptions: &Subscriptions) -> Inbound {
    let mut frame = RawFrame::default();
    let mut deserializer = serde_json::Deserializer::from_slice(message);
    // The seed fills `frame` as it goes, so that a message cut off or broken in its data can still be answered.
    let read = FrameSeed(&mut frame).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let Err(error) = read {
        let why = json::describe(&error);
        return match frame.headers.message_id {
            Some(id) => Inbound::Answer {
                ack: ack::render(400, Some(&id), "not a JSON frame", "{}"),
                note: Note::Garbage(why),
            },
            None => Inbound::Ignore { malformed: false, why },
        };
    }
    match frame.kind.as_deref() {
        Some("SYSTEM") => system(frame),
        Some("EVENT") => push(frame, Some(Topic::Event), subscriptions),
        Some("CALLBACK") => {
            let topic = frame.headers.topic.as_deref().and_then(Topic::of_callback);
            push(frame, topic, subscriptions)
        }
        Some(other) => {
            let what = format!("type {}", shorten(other));
            refuse(&frame, 404, &what, Note::UnknownTopic(what.clone()))
        }
        None => malformed(&frame, "it has no type"),
    }
}

fn system(frame: RawFrame<'_>) -> Inbound {
    let id = frame.headers.message_id.as_deref();
    match frame.headers.topic.as_deref() {
        Some("ping") => {
            // The opaque value comes back untouched, whatever else stands beside it.
            let data = match &frame.data {
                Data::Text(text) => text.as_ref(),
                Data::None | Data::Other => "{}",
            };
            Inbound::Answer { ack: ack::render(200, id, "OK", data), note: Note::System }
        }
        Some("disconnect") => {
            let reason = match &frame.data {
                Data::Text(text) => reason_of(text),
                Data::None | Data::Other => String::new(),
            };
            Inbound::Disconnect { ack: ack::render(200, id, "OK", "{}"), reason }
        }
        Some(_) => Inbound::Answer { ack: ack::render(200, id, "OK", "{}"), note: Note::System },
        None => malformed(&frame, "it has no topic"),
    }
}

fn push(frame: RawFrame<'_>, topic: Option<Topic>, subscriptions: &Subscriptions) -> Inbound {
    if frame.headers.message_id.is_none() {
        return Inbound::Ignore { malformed: true, why: "it has no messageId".to_owned() };
    }
    if frame.headers.topic.is_none() && topic.is_none() {
        return malformed(&frame, "it has no topic");
    }
    let Some(topic) = topic.filter(|topic| subscriptions.contains(*topic)) else {
        let name = shorten(frame.headers.topic.as_deref().unwrap_or("*"));
        return refuse(&frame, 404, &format!("topic {name} is not handled here"), Note::UnknownTopic(name));
    };
    let data = match frame.data {
        Data::Text(text) => text.into_owned(),
        // An event may say everything in its headers.
        Data::None if topic == Topic::Event => "{}".to_owned(),
        Data::None => return malformed(&frame, "it has no data"),
        Data::Other => return malformed(&frame, "its data is neither a string nor an object"),
    };
    Inbound::Push(Box::new(Pushed { topic, headers: frame.headers.into_owned(), data }))
}

fn malformed(frame: &RawFrame<'_>, why: &str) -> Inbound {
    if frame.headers.message_id.is_none() {
        return Inbound::Ignore { malformed: true, why: why.to_owned() };
    }
    refuse(frame, 400, why, Note::Malformed(why.to_owned()))
}

fn refuse(frame: &RawFrame<'_>, code: u16, message: &str, note: Note) -> Inbound {
    Inbound::Answer { ack: ack::render(code, frame.headers.message_id.as_deref(), message, "{}"), note }
}

/// For log lines and acks: a peer's text must not fill them.
fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}

fn reason_of(data: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Reason {
        #[serde(default, deserialize_with = "json::text")]
        reason: Option<String>,
    }
    let reason = serde_json::from_str::<Reason>(data).ok().and_then(|data| data.reason);
    shorten(reason.as_deref().unwrap_or(data))
}

#[derive(Default)]
struct RawFrame<'a> {
    kind: Option<Cow<'a, str>>,
    headers: RawHeaders<'a>,
    data: Data<'a>,
}

#[derive(Default)]
enum Data<'a> {
    #[default]
    None,
    /// The JSON text, from a string or an object or list.
    Text(Cow<'a, str>),
    Other,
}

#[derive(Default)]
struct RawHeaders<'a> {
    message_id: Option<Cow<'a, str>>,
    topic: Option<Cow<'a, str>>,
    time: Option<u64>,
    event_type: Option<Cow<'a, str>>,
    event_id: Option<Cow<'a, str>>,
    event_corp_id: Option<Cow<'a, str>>,
    event_born_time: Option<u64>,
    app_id: Option<Cow<'a, str>>,
    connection_id: Option<Cow<'a, str>>,
    other: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl RawHeaders<'_> {
    fn into_owned(self) -> FrameHeaders {
        FrameHeaders {
            message_id: self.message_id.map(Cow::into_owned).unwrap_or_default(),
            topic: self.topic.map(Cow::into_owned).unwrap_or_default(),
            time: self.time,
            event_type: self.event_type.map(Cow::into_owned),
            event_id: self.event_id.map(Cow::into_owned),
            event_corp_id: self.event_corp_id.map(Cow::into_owned),
            event_born_time: self.event_born_time,
            app_id: self.app_id.map(Cow::into_owned),
            connection_id: self.connection_id.map(Cow::into_owned),
            other: self.other.into_iter().map(|(k, v)| (k.into_owned(), v.into_owned())).collect(),
        }
    }
}

struct FrameSeed<'o, 'a>(&'o mut RawFrame<'a>);

impl<'de> DeserializeSeed<'de> for FrameSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FrameSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(CowStr(key)) = map.next_key()? {
            match key.as_ref() {
                "type" => self.0.kind = map.next_value::<Scalar<'de>>()?.into_text(),
                // The second spelling stands in one of the specification's samples.
                "headers" | "header" => map.next_value_seed(HeadersSeed(&mut self.0.headers))?,
                "data" => self.0.data = map.next_value_seed(DataSeed)?,
                _ => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct HeadersSeed<'o, 'a>(&'o mut RawHeaders<'a>);

impl<'de> DeserializeSeed<'de> for HeadersSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for HeadersSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let headers = self.0;
        while let Some(CowStr(key)) = map.next_key()? {
            let value: Scalar<'de> = map.next_value()?;
            let full = |value: Scalar<'de>| value.into_text().filter(|text| !text.is_empty());
            match key.as_ref() {
                "messageId" => headers.message_id = full(value),
                "topic" => headers.topic = full(value),
                "time" => headers.time = value.to_unsigned(),
                "eventType" => headers.event_type = full(value),
                "eventId" => headers.event_id = full(value),
                "eventCorpId" => headers.event_corp_id = full(value),
                "eventBornTime" => headers.event_born_time = value.to_unsigned(),
                "appId" | "eventUnifiedAppId" => headers.app_id = full(value),
                "connectionId" => headers.connection_id = full(value),
                "contentType" => {}
                _ => {
                    if let Some(value) = value.into_text() {
                        headers.other.push((key, value));
                    }
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

struct DataSeed;

impl<'de> DeserializeSeed<'de> for DataSeed {
    type Value = Data<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Data<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DataSeed {
    type Value = Data<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("data")
    }

    fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Data<'de>, E> {
        Ok(Data::Text(Cow::Borrowed(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Data<'de>, E> {
        Ok(Data::Text(Cow::Owned(v.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data<'de>, A::Error> {
        let mut members = Members(Vec::new());
        while let Some((CowStr(key), value)) = map.next_entry::<CowStr<'de>, &'de RawValue>()? {
            members.0.push((key, value));
        }
        Ok(Data::Text(Cow::Owned(members.to_json())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Data<'de>, A::Error> {
        while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Data::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Data<'de>, E> {
        Ok(Data::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Data<'de>, E> {
        Ok(Data::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Data<'de>, E> {
        Ok(Data::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Data<'de>, E> {
        Ok(Data::Other)
    }

    fn visit_unit<E>(self) -> Result<Data<'de>, E> {
        Ok(Data::None)
    }
}

#[cfg(test)]
mod tests;
