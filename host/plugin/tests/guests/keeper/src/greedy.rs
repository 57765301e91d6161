//! Takes as much as it gets, and says what stopped it.

use std::hint::black_box;

use crate::belfry::bot::types::Target;
use crate::belfry::bot::{chat, live_card};
use crate::wasi::keyvalue::{atomics, batch, store};
use crate::{bucket, chat_error, kv, text_reply};

pub fn obey(verb: &str, number: usize) -> Result<String, String> {
    match verb {
        "buckets" => {
            let mut kept = Vec::new();
            loop {
                match store::open("") {
                    Ok(bucket) => kept.push(bucket),
                    Err(error) => return Ok(format!("{}: {}", kept.len(), kv(error))),
                }
            }
        }
        "cas" => {
            let bucket = bucket()?;
            bucket.set("k", &vec![b'x'; number]).map_err(kv)?;
            let mut kept = Vec::new();
            loop {
                match atomics::Cas::new(&bucket, "k") {
                    Ok(cas) => kept.push(cas),
                    Err(error) => return Ok(format!("{}: {}", kept.len(), kv(error))),
                }
            }
        }
        "cards" => {
            let mut kept = Vec::new();
            loop {
                match live_card::Card::create(&Target::Current, "") {
                    Ok(card) => kept.push(card),
                    Err(error) => return Ok(format!("{}: {}", kept.len(), chat_error(&error))),
                }
            }
        }
        "card-text" => {
            let card = live_card::Card::create(&Target::Current, "").map_err(|error| chat_error(&error))?;
            let mut size = 0;
            loop {
                match card.append(&"x".repeat(1_000)) {
                    Ok(()) => size += 1_000,
                    Err(error) => return Ok(format!("{size}: {}", chat_error(&error))),
                }
            }
        }
        "sends" => {
            let mut sent = 0;
            loop {
                match chat::send(&Target::Current, &text_reply("spam")) {
                    Ok(_) => sent += 1,
                    Err(error) => return Ok(format!("{sent}: {}", chat_error(&error))),
                }
            }
        }
        "downloads" => {
            let mut done = 0;
            loop {
                match chat::download("code") {
                    Ok(_) => done += 1,
                    Err(error) => return Ok(format!("{done}: {}", chat_error(&error))),
                }
            }
        }
        "fill" => {
            let bucket = bucket()?;
            let value = vec![b'x'; 10_000];
            let mut keys = 0;
            loop {
                match bucket.set(&format!("{keys:06}"), &value) {
                    Ok(()) => keys += 1,
                    Err(error) => return Ok(format!("{keys}: {}", kv(error))),
                }
            }
        }
        "many-keys" => {
            let bucket = bucket()?;
            let mut keys = 0;
            loop {
                match bucket.delete(&format!("{keys:06}")) {
                    Ok(()) => keys += 1,
                    Err(error) => return Ok(format!("{keys}: {}", kv(error))),
                }
            }
        }
        "multiply" => {
            // One large value, asked for a thousand times at once.
            let bucket = bucket()?;
            bucket.set("k", &vec![b'x'; number]).map_err(kv)?;
            let keys = vec!["k".to_owned(); 1_000];
            Ok(batch::get_many(&bucket, &keys).map(|values| values.len().to_string()).unwrap_or_else(kv))
        }
        "long-key" => Ok(bucket()?.set(&"k".repeat(number), b"").map(|()| "set".into()).unwrap_or_else(kv)),
        "huge-key" => Ok(bucket()?.get(&"k".repeat(number)).map(|_| "got".into()).unwrap_or_else(kv)),
        "random" => {
            let bytes = crate::random(number);
            Ok(bytes.to_string())
        }
        "streams" => {
            let mut kept = Vec::new();
            loop {
                kept.push(black_box(crate::output()));
            }
        }
        _ => Err(format!("unknown verb {verb}")),
    }
}
