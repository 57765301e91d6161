//! Carries out orders. Those of an event stand in its data, `{"order": "…"}`, with `;` between them:
//!
//! - `say WHOM TEXT`: sends to `user/ID` or `group/ID`
//! - `emit TYPE`: emits an event; `emit TYPE ORDER` gives it an order, with `,` for `;`
//! - `until N`: fails for a while, before the try of that number
//! - `fail REASON`: fails for good
//!
//! A tick sends `tick NAME` to the group `ops`. A message is answered by `courier: ` and its text. An action on a card does
//! what the action is called.

wit_bindgen::generate!({
    path: "../../../../../wit",
    inline: "
        package belfry:courier;
        world courier {
            include belfry:bot/imports@0.1.0;
            export belfry:bot/message-handler@0.1.0;
            export belfry:bot/event-handler@0.1.0;
            export belfry:bot/action-handler@0.1.0;
        }
    ",
    world: "belfry:courier/courier",
    generate_all,
});

use std::time::Duration;

use belfry::bot::chat;
use belfry::bot::events::{Effect, Event, NewEvent, Send};
use belfry::bot::types::{Content, Failure, Message, Outcome, Reply, Target, TextReply};
use exports::belfry::bot::action_handler::{self, CardUpdate, Request, Response};
use exports::belfry::bot::{event_handler, message_handler};

struct Courier;

export!(Courier);

impl message_handler::Guest for Courier {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let Content::Text(text) = message.content else { return Ok(Outcome::Pass) };
        Ok(Outcome::Reply(vec![words(format!("courier: {text}"))]))
    }
}

impl event_handler::Guest for Courier {
    fn on_event(event: Event) -> Result<Vec<Effect>, Failure> {
        if event.source.starts_with("/schedules/") {
            let text = format!("tick {}", event.subject.unwrap_or_default());
            return Ok(vec![Effect::Send(Send { to: Target::Group("ops".to_owned()), message: words(text) })]);
        }
        let data = event.data.unwrap_or_default();
        let order = data.split_once("\"order\"").and_then(|(_, rest)| rest.split('"').nth(1)).unwrap_or_default();
        let mut effects = Vec::new();
        for order in order.split(';').filter(|order| !order.is_empty()) {
            let (verb, argument) = order.split_once(' ').unwrap_or((order, ""));
            let (first, rest) = argument.split_once(' ').unwrap_or((argument, ""));
            match verb {
                "say" => {
                    let to = match first.split_once('/') {
                        Some(("user", id)) => Target::User(id.to_owned()),
                        Some(("group", id)) => Target::Group(id.to_owned()),
                        _ => Target::Current,
                    };
                    effects.push(Effect::Send(Send { to, message: words(rest.to_owned()) }));
                }
                "emit" => effects.push(Effect::Emit(NewEvent {
                    type_: first.to_owned(),
                    subject: None,
                    data: format!("{{\"order\":\"{}\"}}", rest.replace(',', ";")),
                })),
                "until" if event.attempt < first.parse().unwrap_or(0) => {
                    return Err(Failure::Temporary("not yet".to_owned()));
                }
                "fail" => return Err(Failure::Permanent(argument.to_owned())),
                _ => {}
            }
        }
        Ok(effects)
    }
}

impl action_handler::Guest for Courier {
    fn on_action(request: Request) -> Result<Response, Failure> {
        if request.kind == "ai-plugin" {
            return match request.subject.as_str() {
                "/fail" => Err(Failure::Permanent("no such thing".to_owned())),
                _ => Ok(Response::Json(request.params)),
            };
        }
        match request.actions.first().map(String::as_str) {
            Some("slow") => {
                std::thread::sleep(Duration::from_secs(60));
                Ok(Response::None)
            }
            Some("fail") => Err(Failure::Permanent("no such thing".to_owned())),
            Some("send") => {
                let text = words(format!("pressed by {}", request.user.unwrap_or_default()));
                chat::send(&Target::Group("ops".to_owned()), &text)
                    .map_err(|error| Failure::Permanent(format!("{error:?}")))?;
                Ok(Response::None)
            }
            action => Ok(Response::Card(CardUpdate {
                data: vec![("state".to_owned(), action.unwrap_or("none").to_owned())],
                private_data: vec![("params".to_owned(), request.params)],
            })),
        }
    }
}

fn words(text: String) -> Reply {
    Reply::Text(TextReply { text, mentions: None })
}
