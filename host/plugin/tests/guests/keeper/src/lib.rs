//! Exports and imports all of `wit/`, and does what the message's text says: `VERB ARGUMENT`.

wit_bindgen::generate!({ path: "../../../../../wit", world: "belfry:bot/all", generate_all });

mod greedy;

use std::cell::RefCell;
use std::hint::black_box;

use belfry::bot::types::{Content, Failure, Message, Outcome, Reply, Target, TextReply};
use belfry::bot::{cards, chat, events, live_card};
use exports::belfry::bot::{action_handler, describe, event_handler, message_handler, resident, transform};
use wasi::keyvalue::{atomics, batch, store};

/// The tests patch the last three letters to tell builds apart.
static BUILD: [u8; 16] = *b"keeper build AAA";

thread_local! {
    /// What a resident instance remembers.
    static MEMORY: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static CARD: RefCell<Option<live_card::Card>> = const { RefCell::new(None) };
}

struct Keeper;

export!(Keeper);

impl message_handler::Guest for Keeper {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let Content::Text(text) = message.content else { return Ok(Outcome::Pass) };
        let (verb, argument) = text.split_once(' ').unwrap_or((&text, ""));
        match obey(verb, argument) {
            Ok(said) if said == "pass" => Ok(Outcome::Pass),
            Ok(said) => Ok(Outcome::Reply(vec![text_reply(said)])),
            Err(said) => Err(Failure::Permanent(said)),
        }
    }
}

fn obey(verb: &str, argument: &str) -> Result<String, String> {
    let (first, rest) = argument.split_once(' ').unwrap_or((argument, ""));
    let number = first.parse::<usize>().unwrap_or(0);
    Ok(match verb {
        "build" => build(),
        "get" => shown(bucket()?.get(first).map_err(kv)?),
        "set" => done(bucket()?.set(first, rest.as_bytes()).map_err(kv)),
        "set-big" => done(bucket()?.set(first, &vec![b'x'; rest.parse().unwrap_or(0)]).map_err(kv)),
        "delete" => done(bucket()?.delete(first).map_err(kv)),
        "exists" => bucket()?.exists(first).map_err(kv)?.to_string(),
        "keys" => bucket()?.list_keys(None).map_err(kv)?.keys.join(","),
        "set-and-pass" => {
            bucket()?.set(first, rest.as_bytes()).map_err(kv)?;
            "pass".into()
        }
        "set-and-fail" => {
            bucket()?.set(first, rest.as_bytes()).map_err(kv)?;
            return Err("on purpose".into());
        }
        "set-and-trap" => {
            bucket()?.set(first, rest.as_bytes()).map_err(kv)?;
            std::process::abort();
        }
        "add" => match atomics::increment(&bucket()?, first, rest.parse().unwrap_or(1)) {
            Ok(sum) => sum.to_string(),
            Err(error) => kv(error),
        },
        "swap" => {
            let bucket = bucket()?;
            let cas = atomics::Cas::new(&bucket, first).map_err(kv)?;
            let seen = shown(cas.current().map_err(kv)?);
            match atomics::swap(cas, rest.as_bytes()) {
                Ok(()) => format!("swapped {seen}"),
                Err(atomics::CasError::CasFailed(fresh)) => {
                    format!("is {}", shown(fresh.current().map_err(kv)?))
                }
                Err(atomics::CasError::StoreError(error)) => kv(error),
            }
        }
        "swap-late" => {
            let bucket = bucket()?;
            let cas = atomics::Cas::new(&bucket, first).map_err(kv)?;
            bucket.set(first, b"meanwhile").map_err(kv)?;
            match atomics::swap(cas, rest.as_bytes()) {
                Err(atomics::CasError::CasFailed(fresh)) => {
                    let seen = shown(fresh.current().map_err(kv)?);
                    done(atomics::swap(fresh, rest.as_bytes()).map_err(|_| "changed again".into())) + " after " + &seen
                }
                _ => "not noticed".into(),
            }
        }
        "batch" => {
            let bucket = bucket()?;
            batch::set_many(&bucket, &[("x".into(), b"1".to_vec()), ("y".into(), b"2".to_vec())]).map_err(kv)?;
            batch::delete_many(&bucket, &["x".into()]).map_err(kv)?;
            let values = batch::get_many(&bucket, &["y".into(), "x".into()]).map_err(kv)?;
            let value = |pair: &Option<(String, Vec<u8>)>| pair.as_ref().map(|(key, value)| (key.clone(), value.len()));
            format!("{:?}", values.iter().map(value).collect::<Vec<_>>())
        }
        "open" => match store::open(argument) {
            Ok(_) => "opened".into(),
            Err(error) => kv(error),
        },
        "rounds" => {
            // For a benchmark.
            let bucket = bucket()?;
            for round in 0..number {
                let key = format!("key{}", round % 100);
                bucket.set(&key, b"0123456789abcdef").map_err(kv)?;
                black_box(bucket.get(&key).map_err(kv)?);
            }
            "done".into()
        }

        "send" => said(chat::send(&target(first), &text_reply(rest))),
        "recall" => said(chat::recall(first).map(|()| "recalled".into())),
        "download" => said(chat::download(first).map(|content| content.len().to_string())),
        "upload" => said(chat::upload(chat::MediaKind::File, first, &vec![0; rest.parse().unwrap_or(0)])),
        "card" => {
            let card = cards::Card { template: "t.schema".into(), data: vec![("a".into(), rest.into())] };
            said(cards::send(&target(first), &card))
        }
        "update" => said(cards::update(first, &[("a".into(), rest.into())]).map(|()| "updated".into())),
        "live" => {
            let card = live_card::Card::create(&target(first), "a title").map_err(|error| chat_error(&error))?;
            rest.split(' ').try_for_each(|word| card.append(word)).map_err(|error| chat_error(&error))?;
            card.finish().map_err(|error| chat_error(&error))?;
            card.append("more").map_err(|error| chat_error(&error)).unwrap_err()
        }
        "live-drop" => {
            let card = live_card::Card::create(&Target::Current, "").map_err(|error| chat_error(&error))?;
            card.append(argument).map_err(|error| chat_error(&error))?;
            "dropped".into()
        }
        "live-keep" => {
            let card = live_card::Card::create(&Target::Current, "").map_err(|error| chat_error(&error))?;
            card.append(argument).map_err(|error| chat_error(&error))?;
            CARD.set(Some(card));
            "kept".into()
        }
        "live-again" => CARD.with_borrow(|card| match card {
            Some(card) => said(card.append(argument).map(|()| "appended".into())),
            None => "no card".into(),
        }),
        "live-trap" => {
            let card = live_card::Card::create(&Target::Current, "").map_err(|error| chat_error(&error))?;
            card.append(argument).map_err(|error| chat_error(&error))?;
            std::process::abort();
        }

        "remember" => MEMORY.with_borrow_mut(|memory| {
            memory.push(argument.to_owned());
            memory.join(",")
        }),
        "recite" => MEMORY.with_borrow(|memory| memory.join(",")),
        "trap" => std::process::abort(),
        "sleep" => {
            std::thread::sleep(std::time::Duration::from_millis(number as u64));
            "slept".into()
        }
        "clock" => {
            let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let start = std::time::Instant::now();
            std::thread::sleep(std::time::Duration::from_millis(20));
            let waited = start.elapsed().as_millis();
            let busy = std::time::Instant::now();
            while busy.elapsed().as_micros() < 50 {}
            let random = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 1);
            format!("{} {waited} {random}", wall.as_millis())
        }
        _ => return greedy::obey(verb, number),
    })
}

impl event_handler::Guest for Keeper {
    fn on_event(event: events::Event) -> Result<Vec<events::Effect>, Failure> {
        match event.data.as_deref() {
            Some("trap") => std::process::abort(),
            Some("later") => return Err(Failure::Temporary("not yet".into())),
            _ => {}
        }
        let wrote = bucket().and_then(|bucket| bucket.set("event", event.id.as_bytes()).map_err(kv));
        wrote.map_err(Failure::Permanent)?;
        let size = event.subject.as_deref().and_then(|subject| subject.parse().ok()).unwrap_or(2);
        let emit = events::NewEvent { type_: event.type_, subject: None, data: "x".repeat(size) };
        let send = events::Send { to: Target::User("manager1234".into()), message: text_reply("hello") };
        Ok(vec![events::Effect::Emit(emit), events::Effect::Send(send)])
    }
}

impl action_handler::Guest for Keeper {
    fn on_action(request: action_handler::Request) -> Result<action_handler::Response, Failure> {
        match request.kind.as_str() {
            "card" => Ok(action_handler::Response::Card(action_handler::CardUpdate {
                data: vec![("pressed".into(), request.actions.join(","))],
                private_data: Vec::new(),
            })),
            "slow" => {
                std::thread::sleep(std::time::Duration::from_secs(60));
                Ok(action_handler::Response::None)
            }
            _ => Ok(action_handler::Response::Json(request.params)),
        }
    }
}

impl transform::Guest for Keeper {
    fn transform(mut event: events::Event) -> Result<Option<events::Event>, Failure> {
        if event.type_ == "drop" {
            return Ok(None);
        }
        let store = store::open("").err().map(kv).unwrap_or_else(|| "open".into());
        let sent = chat_error(&chat::send(&Target::Current, &text_reply("x")).unwrap_err());
        let got = belfry::bot::fetch::fetch(&belfry::bot::fetch::Request {
            method: "GET".into(),
            url: "https://api.example.com/".into(),
            headers: Vec::new(),
            body: None,
            timeout: None,
        });
        event.data = Some(format!("{store}; {sent}; {got:?}"));
        Ok(Some(event))
    }
}

impl describe::Guest for Keeper {
    fn describe() -> describe::Info {
        match build().as_str() {
            "DTR" => std::process::abort(),
            "DKV" => {
                let _ = store::open("").unwrap();
            }
            _ => {}
        }
        let name = if build() == "DCM" { "no-slash" } else { "/keep" };
        let command = describe::Command { name: name.into(), help: "keeps things".into() };
        describe::Info {
            name: "Keeper".into(),
            version: "1.2.0".into(),
            description: "keeps what it is given".into(),
            commands: vec![command],
            help: "# Keeper".into(),
        }
    }
}

impl resident::Guest for Keeper {
    fn init() -> Result<(), String> {
        match build().as_str() {
            "NOI" => Err("nothing to begin with".into()),
            _ => {
                MEMORY.with_borrow_mut(|memory| memory.push("init".into()));
                Ok(())
            }
        }
    }

    fn snapshot() -> Result<Vec<u8>, String> {
        if build() == "NOS" {
            return Err("it is a secret".into());
        }
        Ok(MEMORY.with_borrow(|memory| memory.join(",")).into_bytes())
    }

    fn restore(state: Vec<u8>) -> Result<(), String> {
        if build() == "NOR" {
            return Err("what a mess".into());
        }
        let state = String::from_utf8(state).map_err(|error| error.to_string())?;
        MEMORY.with_borrow_mut(|memory| *memory = vec![format!("({state})")]);
        Ok(())
    }
}

fn bucket() -> Result<store::Bucket, String> {
    store::open("").map_err(kv)
}

fn kv(error: store::Error) -> String {
    match error {
        store::Error::NoSuchStore => "no such store".into(),
        store::Error::AccessDenied => "access denied".into(),
        store::Error::Other(said) => said,
    }
}

fn said(result: Result<String, chat::Error>) -> String {
    result.unwrap_or_else(|error| chat_error(&error))
}

fn chat_error(error: &chat::Error) -> String {
    match error {
        chat::Error::NotGranted(said) => format!("not granted: {said}"),
        chat::Error::Invalid(said) => format!("invalid: {said}"),
        chat::Error::Limit(said) => format!("limit: {said}"),
        chat::Error::Unavailable(said) => format!("unavailable: {said}"),
    }
}

fn target(name: &str) -> Target {
    match name.split_once(':') {
        Some(("user", id)) => Target::User(id.into()),
        Some(("group", id)) => Target::Group(id.into()),
        _ => Target::Current,
    }
}

/// Takes random bytes, all in one call of the host.
fn random(number: usize) -> usize {
    wasip2::random::random::get_random_bytes(number as u64).len()
}

fn output() -> wasip2::io::streams::OutputStream {
    wasip2::cli::stdout::get_stdout()
}

fn done(result: Result<(), String>) -> String {
    result.err().unwrap_or_else(|| "done".into())
}

fn shown(value: Option<Vec<u8>>) -> String {
    value.map_or("none".into(), |value| String::from_utf8_lossy(&value).into_owned())
}

fn text_reply(text: impl Into<String>) -> Reply {
    Reply::Text(TextReply { text: text.into(), mentions: None })
}

fn build() -> String {
    String::from_utf8_lossy(&black_box(&BUILD)[13..]).into_owned()
}
