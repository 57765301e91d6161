//! The plugin that the load benchmark measures with. `spin N …` computes N rounds first; every answer ends with the
//! message and begins with a mark that the benchmark overwrites in the component, to tell one build from the next.

wit_bindgen::generate!({ path: "../../wit", world: "belfry:bot/bot", generate_all });

use belfry::bot::types::{Content, Failure, Message, Outcome, Reply, TextReply};
use exports::belfry::bot::message_handler::Guest;

struct Bench;

export!(Bench);

/// Read through a volatile load, or the compiler would fold it into code.
static MARK: [u8; 16] = *b"BELFRY-MARK-0000";

impl Guest for Bench {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let Content::Text(text) = message.content else { return Ok(Outcome::Pass) };
        if let Some(rounds) = text.strip_prefix("spin ").and_then(|rest| rest.split(' ').next()?.parse().ok())
        {
            spin(rounds);
        }
        // SAFETY: a reference is valid, aligned and initialised.
        let mark = unsafe { std::ptr::read_volatile(&MARK) };
        let text = format!("{} {text}", String::from_utf8_lossy(&mark));
        Ok(Outcome::Reply(vec![Reply::Text(TextReply { text, mentions: None })]))
    }
}

/// The same work every time, whatever the clock says.
fn spin(rounds: u64) {
    let mut state = 1_u64;
    for _ in 0..rounds {
        state = std::hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}
