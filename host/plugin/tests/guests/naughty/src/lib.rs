//! Does what the message's text says: `VERB ARGUMENT`.

wit_bindgen::generate!({ path: "../../../../../wit", world: "belfry:bot/bot", generate_all });

use std::hint::black_box;
use std::io::Write;
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use belfry::bot::host;
use belfry::bot::types::{Content, Failure, Message, Outcome, Reply, TextReply};
use exports::belfry::bot::message_handler::Guest;
use wasi::config::store;
use wasi::logging::logging::{Level, log};

/// The tests patch the last three letters to tell builds apart.
static BUILD: [u8; 17] = *b"naughty build AAA";

static mut GREETED: u32 = 0;

struct Naughty;

export!(Naughty);

impl Guest for Naughty {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let build = build();
        match build.as_str() {
            "BAD" => panic!("this build is broken"),
            "GON" => {
                eprintln!("function 'onMessage' not found: FromJs");
                std::process::abort();
            }
            _ => {}
        }
        let Content::Text(text) = message.content else { return Ok(Outcome::Pass) };
        let (verb, argument) = text.split_once(' ').unwrap_or((&text, ""));
        let number = argument.parse::<usize>().unwrap_or(0);
        match verb {
            "say" => answer(argument),
            "build" => answer(build),
            "attempt" => answer(message.attempt.to_string()),
            "pass" => Ok(Outcome::Pass),
            "silence" => Ok(Outcome::Reply(Vec::new())),
            "tried" => answer(format!("{argument} at try {}", message.attempt)),
            "until" => {
                // Works from the try of that number on.
                let (number, answer_with) = argument.split_once(' ').unwrap_or((argument, ""));
                match number.parse::<u32>() {
                    Ok(number) if message.attempt < number => Err(Failure::Temporary("not yet".to_owned())),
                    _ => answer(answer_with),
                }
            }
            "temporary" => Err(Failure::Temporary(argument.to_owned())),
            "permanent" => Err(Failure::Permanent(argument.to_owned())),
            "hostile" => Err(Failure::Permanent(format!("\u{1b}[2Jgone\u{7}\n{}", "x".repeat(100_000)))),

            "loop" => loop {
                black_box(());
            },
            "work" => {
                let work =
                    (0..number as u64).fold(1u64, |sum, i| black_box(sum.wrapping_mul(31).wrapping_add(i)));
                black_box(work);
                answer("worked")
            }
            "sleep" => {
                std::thread::sleep(Duration::from_millis(number as u64));
                answer("slept")
            }
            "allocate" => {
                let mut kept = Vec::new();
                loop {
                    kept.push(black_box(vec![1u8; 1 << 20]));
                }
            }
            "try-allocate" => {
                let mut kept: Vec<u8> = Vec::new();
                answer(if kept.try_reserve(number).is_ok() { "enough" } else { "too little" })
            }
            "recurse" => answer(recurse(1).to_string()),
            "trap" => std::process::abort(),
            "panic" => panic!("{argument}"),
            "exit" => std::process::exit(number as i32),

            "big" => answer("x".repeat(number)),
            "many" => {
                let reply = || Reply::Text(TextReply { text: String::new(), mentions: None });
                Ok(Outcome::Reply((0..number).map(|_| reply()).collect()))
            }
            "print" => {
                print!("{argument}");
                std::io::stdout().flush().unwrap();
                answer("printed")
            }
            "complain" => {
                eprintln!("{argument}");
                panic!("after complaining");
            }
            "print-forever" => loop {
                println!("{}", "again and ".repeat(100));
            },
            "print-much" => {
                (0..number).for_each(|i| println!("line {i}"));
                answer("printed")
            }
            "log" => {
                log(Level::Warn, "shop", argument);
                log(Level::Info, "", "no context");
                answer("logged")
            }
            "log-big" => {
                log(Level::Info, "", &"x".repeat(number));
                answer("logged")
            }

            "config" => answer(store::get(argument).unwrap().unwrap_or_else(|| "none".into())),
            "config-all" => answer(format!("{:?}", store::get_all().unwrap())),
            "plugins" => {
                let plugins = host::plugins();
                let names: Vec<_> = plugins.iter().map(|p| format!("{} {:?}", p.name, p.commands)).collect();
                answer(names.join("; "))
            }
            "count" => {
                // Safe: there is one thread, and no second message.
                let count = unsafe {
                    GREETED += 1;
                    GREETED
                };
                answer(count.to_string())
            }

            "tcp" => answer(refused(TcpStream::connect(("127.0.0.1", number as u16)))),
            "udp" => answer(refused(UdpSocket::bind("0.0.0.0:0"))),
            "resolve" => answer(refused((argument, 80).to_socket_addrs())),
            "read" => answer(refused(std::fs::read(argument))),
            "write" => answer(refused(std::fs::write(argument, "x"))),
            "environment" => {
                answer(format!("{:?} {:?}", std::env::vars().collect::<Vec<_>>(), std::env::args()))
            }
            _ => Err(Failure::Permanent(format!("unknown verb {verb}"))),
        }
    }
}

fn answer(text: impl Into<String>) -> Result<Outcome, Failure> {
    Ok(Outcome::Reply(vec![Reply::Text(TextReply { text: text.into(), mentions: None })]))
}

fn build() -> String {
    let build = black_box(&BUILD);
    String::from_utf8_lossy(&build[14..]).into_owned()
}

#[expect(unconditional_recursion, reason = "that is its purpose")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    black_box(recurse(depth + 1)) + frame[3]
}

fn refused<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => "allowed".into(),
        Err(error) => format!("refused: {error}"),
    }
}
