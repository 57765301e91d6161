//! Does what the message says before it answers:
//!
//! - `send MS TEXT`: sends `early TEXT` and adds to `n`, sleeps, answers `late TEXT`; `fail MS TEXT` fails for good instead.
//! - `add`: adds 1 to `n` and answers with the sum; `read` answers with `n` and `list`.
//! - `swap MS WORD`: looks at `list`, swaps it for itself and the word, and sleeps.
//! - `live WORDS`: shows them one by one in a live card, 50 ms apart.
//! - `group ID TEXT`: sends to a group, takes it back, and answers with what came of it.

wit_bindgen::generate!({ path: "../../../../../wit", world: "belfry:bot/bot", generate_all });

use std::{thread::sleep, time::Duration};

use belfry::bot::chat;
use belfry::bot::live_card::Card;
use belfry::bot::types::{Content, Failure, Message, Outcome, Reply, Target, TextReply};
use exports::belfry::bot::message_handler::Guest;
use wasi::keyvalue::{atomics, store};

struct Doer;

export!(Doer);

impl Guest for Doer {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let Content::Text(text) = message.content else { return Ok(Outcome::Pass) };
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
                let card = Card::create(&Target::Current, "").map_err(said)?;
                for word in rest.split(' ') {
                    card.append(&format!("{word} ")).map_err(said)?;
                    sleep(Duration::from_millis(50));
                }
                card.finish().map_err(said)?;
                return Ok(Outcome::Reply(Vec::new()));
            }
            "group" => {
                let id = chat::send(&Target::Group(first.to_owned()), &words(last.to_owned())).map_err(said)?;
                format!("recalled {:?}, again {:?}", chat::recall(&id), chat::recall(&id).is_err())
            }
            _ => return Ok(Outcome::Pass),
        };
        Ok(Outcome::Reply(vec![words(answer)]))
    }
}

fn words(text: String) -> Reply {
    Reply::Text(TextReply { text, mentions: None })
}

fn said(error: impl std::fmt::Debug) -> Failure {
    Failure::Permanent(format!("{error:?}"))
}
