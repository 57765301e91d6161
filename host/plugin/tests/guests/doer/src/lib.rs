//! Does what the message says before it answers:
//!
//! - `send MS TEXT`: sends `early TEXT` and adds to `n`, sleeps, answers `late TEXT`; `fail MS TEXT` fails for good instead.
//! - `add`: adds 1 to `n` and answers with the sum; `read` answers with `n` and `list`.
//! - `swap MS WORD`: looks at `list`, swaps it for itself and the word, and sleeps.
//! - `live WORDS`: shows them one by one in a live card, 50 ms apart; `slow MS WORDS` so far apart.
//! - `broken SENTENCE WORDS`: the same, and ends it as failed; `left WORDS` drops it before its end; `blank` ends it at once.
//! - `group ID TEXT`, `user ID TEXT`, `here TEXT`: sends it there, takes it back, and answers with what came of it.
//! - `card`: sends a card and answers with its id; `update ID TEXT` changes it.
//! - `download CODE`, or a picture: answers with its content. `upload TEXT`: uploads it and answers with a picture and its
//!   media id.
//!
//! An action on a card is answered with the number of actions so far. `later` changes the card too, and grows a message to
//! whoever pressed.

wit_bindgen::generate!({
    path: "../../../../../wit",
    inline: "
        package belfry:doer;
        world doer {
            include belfry:bot/imports@0.1.0;
            export belfry:bot/message-handler@0.1.0;
            export belfry:bot/action-handler@0.1.0;
        }
    ",
    world: "belfry:doer/doer",
    generate_all,
});

use std::{thread::sleep, time::Duration};

use belfry::bot::live_card::Card;
use belfry::bot::types::{Content, Failure, ImageReply, Message, Outcome, Reply, Target, TextReply};
use belfry::bot::{cards, chat};
use exports::belfry::bot::action_handler::{self, CardUpdate, Request, Response};
use exports::belfry::bot::message_handler::Guest;
use wasi::keyvalue::{atomics, store};

struct Doer;

export!(Doer);

impl Guest for Doer {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let text = match message.content {
            Content::Text(text) => text,
            Content::Picture(picture) => format!("download {}", picture.download_code),
            _ => return Ok(Outcome::Pass),
        };
        let (what, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let (first, last) = rest.split_once(' ').unwrap_or((rest, ""));
        let pause = || sleep(Duration::from_millis(first.parse().unwrap_or(0)));
        let bucket = store::open("").map_err(said)?;
        let answer = match what {
            "send" | "fail" => {
                chat::send(&Target::Current, &words(format!("early {last}"))).map_err(said)?;
                atomics::increment(&bucket, "n", 1).map_err(said)?;
                pause();
                if what == "fail" {
                    return Err(Failure::Permanent("as it was told".to_owned()));
                }
                format!("late {last}")
            }
            "add" => format!("n is {}", atomics::increment(&bucket, "n", 1).map_err(said)?),
            "read" => {
                let value = |key| bucket.get(key).map(|value| String::from_utf8(value.unwrap_or_default()));
                format!("n {} list {}", value("n").map_err(said)?.unwrap(), value("list").map_err(said)?.unwrap())
            }
            "swap" => {
                let cas = atomics::Cas::new(&bucket, "list").map_err(said)?;
                let mut list = cas.current().map_err(said)?.unwrap_or_default();
                list.extend_from_slice(last.as_bytes());
                atomics::swap(cas, &list).map_err(said)?;
                pause();
                format!("swapped {last} at {}", message.attempt)
            }
            "live" => {
                grow(rest, 50)?.finish().map_err(said)?;
                return Ok(Outcome::Reply(Vec::new()));
            }
            "slow" => {
                grow(last, first.parse().unwrap_or(0))?.finish().map_err(said)?;
                return Ok(Outcome::Reply(Vec::new()));
            }
            "broken" => {
                grow(last, 50)?.fail(first).map_err(said)?;
                return Ok(Outcome::Reply(Vec::new()));
            }
            "left" => {
                drop(grow(rest, 0)?);
                return Ok(Outcome::Reply(Vec::new()));
            }
            "blank" => {
                Card::create(&Target::Current, "").map_err(said)?.finish().map_err(said)?;
                return Ok(Outcome::Reply(Vec::new()));
            }
            "group" => send_and_recall(Target::Group(first.to_owned()), last)?,
            "user" => send_and_recall(Target::User(first.to_owned()), last)?,
            "here" => send_and_recall(Target::Current, rest)?,
            "card" => {
                let data = vec![("count".to_owned(), "0".to_owned()), ("title".to_owned(), "votes".to_owned())];
                let card = cards::Card { template: "votes.schema".to_owned(), data };
                format!("card {}", cards::send(&Target::Current, &card).map_err(said)?)
            }
            "update" => {
                let data = [("title".to_owned(), last.to_owned())];
                format!("updated {:?}", cards::update(first, &data))
            }
            "download" => match chat::download(rest) {
                Ok(content) => format!("has {} bytes: {}", content.len(), String::from_utf8_lossy(&content)),
                Err(error) => format!("nothing: {error:?}"),
            },
            "upload" => {
                let source = chat::upload(chat::MediaKind::Image, "a.png", rest.as_bytes()).map_err(said)?;
                let picture = Reply::Image(ImageReply { source: source.clone() });
                return Ok(Outcome::Reply(vec![picture, words(format!("uploaded {source}"))]));
            }
            _ => return Ok(Outcome::Pass),
        };
        Ok(Outcome::Reply(vec![words(answer)]))
    }
}

impl action_handler::Guest for Doer {
    fn on_action(request: Request) -> Result<Response, Failure> {
        let bucket = store::open("").map_err(said)?;
        let count = atomics::increment(&bucket, "actions", 1).map_err(said)?;
        if request.actions.iter().any(|action| action == "later") {
            cards::update(&request.subject, &[("title".to_owned(), "changed later".to_owned())])
                .map_err(said)?;
            let card = Card::create(&Target::User(request.user.unwrap_or_default()), "").map_err(said)?;
            card.append("grown after an action").map_err(said)?;
            card.finish().map_err(said)?;
        }
        Ok(Response::Card(CardUpdate {
            data: vec![("count".to_owned(), count.to_string())],
            private_data: vec![("mine".to_owned(), request.actions.join(","))],
        }))
    }
}

/// A live card with these words, one by one.
fn grow(words: &str, apart: u64) -> Result<Card, Failure> {
    let card = Card::create(&Target::Current, "").map_err(said)?;
    for word in words.split(' ') {
        card.append(&format!("{word} ")).map_err(said)?;
        sleep(Duration::from_millis(apart));
    }
    Ok(card)
}

fn send_and_recall(to: Target, text: &str) -> Result<String, Failure> {
    let id = chat::send(&to, &words(text.to_owned())).map_err(said)?;
    Ok(format!("recalled {:?}, again {:?}", chat::recall(&id), chat::recall(&id).is_err()))
}

fn words(text: String) -> Reply {
    Reply::Text(TextReply { text, mentions: None })
}

fn said(error: impl std::fmt::Debug) -> Failure {
    Failure::Permanent(format!("{error:?}"))
}
