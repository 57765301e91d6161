//! What a message costs between the frame and the journal, and a reply before it leaves: `cargo bench -p belfry-dingtalk`.
//!
//! Times of one thread; the best of several rounds, since whatever else the machine does only makes them longer.
#![allow(clippy::print_stdout, reason = "that is what a benchmark is for")]

use std::{hint::black_box, time::Instant};

use belfry_dingtalk::{AppConfig, BotMessage, SessionWebhook, WebhookPolicy};
use belfry_event::{CloudEvent, Data};

const ROUNDS: usize = 15;
const CALLS: u32 = 4_000;

fn measure(what: &str, mut call: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        best = best.min(start.elapsed().as_secs_f64() / f64::from(CALLS));
    }
    println!("{what:<50} {:>8.0} ns", best * 1e9);
}

/// A text as DingTalk sends it, `length` bytes long.
fn payload(length: usize) -> String {
    let text = "今天的报表 is ready. ".repeat(length / 28 + 1);
    format!(
        r#"{{"conversationId":"cidh6ezDLHQau9V23Es/xSLNoiDDmPuN354KylQ2BaIhuM=","conversationType":"2","atUsers":[{{"dingtalkId":"$:LWCP_v1:$01B/44e/ph+R21B/X+43WLnAcUVO5BKL"}}],"chatbotCorpId":"dinge19e25a1b2c3d4e5","chatbotUserId":"$:LWCP_v1:$01B/44e/ph+R21B/X+43WLnAcUVO5BKL","msgId":"msgBjXREkdlZkfTfrIiQomjAw==","senderNick":"Tom","isAdmin":false,"senderStaffId":"0326442312345678","sessionWebhookExpiredTime":1774086394522,"createAt":1774080994334,"senderCorpId":"dinge19e25a1b2c3d4e5","conversationTitle":"测试群","isInAtList":true,"sessionWebhook":"https://oapi.dingtalk.com/robot/sendBySession?session=0123456789abcdef0123456789abcdef","text":{{"content":"{text}"}},"robotCode":"dingf0apw4ibx5u5ktba","msgtype":"text"}}"#
    )
}

fn event(message: &BotMessage) -> CloudEvent {
    let mut event =
        CloudEvent::new("msgBjXREkdlZkfTfrIiQomjAw==", "/dingtalk/default", "dingtalk.message.received.v1");
    event.subject = Some(message.conversation.id.clone());
    event
}

fn main() {
    for length in [20, 2_000] {
        let data = payload(length);
        println!("a payload of {} bytes", data.len());
        measure("BotMessage::parse", || drop(black_box(BotMessage::parse(black_box(&data)))));
        measure("BotMessage::parse_and_redact", || {
            drop(black_box(BotMessage::parse_and_redact(black_box(&data))));
        });
        measure("parse and redact, event, JSON for the journal", || {
            let Ok((message, raw)) = BotMessage::parse_and_redact(black_box(&data)) else { return };
            let mut event = event(&message);
            event.data = Some(Data::parsed_json(raw));
            black_box((event.to_json(), message, event.into_json_data()));
        });
    }
    let policy = WebhookPolicy::for_app(&AppConfig::new("dingx", "s".to_owned()));
    let webhook = SessionWebhook::new(
        "https://oapi.dingtalk.com/robot/sendBySession?session=0123456789abcdef0123456789abcdef",
        None,
    );
    measure("WebhookPolicy::check", || drop(black_box(policy.check(black_box(&webhook)))));
}
