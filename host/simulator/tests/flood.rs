//! Many messages at once: none is lost, none is sent twice, each reply counts once.

mod support;

use std::collections::HashSet;
use std::sync::Arc;

use belfry_simulator::{Happening, Person, Say};
use serde_json::json;
use support::*;
use tokio::sync::Semaphore;

const MESSAGES: usize = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_answered_once() {
    let simulator = real().await;
    let mut bots = vec![Bot::connect(&simulator, "app").await, Bot::connect(&simulator, "app").await];
    let since = simulator.now();
    for n in 0..MESSAGES {
        simulator.say(Say::private(format!("cid{}==", n % 50), Person::default(), format!("message {n}")));
    }
    let posting = Arc::new(Semaphore::new(32));
    let answering = bots.drain(..).map(|mut bot| {
        let (simulator, posting) = (simulator.clone(), Arc::clone(&posting));
        tokio::spawn(async move {
            loop {
                let frame = bot.frame().await;
                bot.ack(&frame, 200, r#"{"response":null}"#).await;
                let permit = Arc::clone(&posting).acquire_owned().await.unwrap();
                let simulator = simulator.clone();
                tokio::spawn(async move {
                    let text = frame.data()["text"]["content"].clone();
                    let body = json!({"msgtype": "text", "text": {"content": text}});
                    let answer = post(&simulator, &frame.webhook(&simulator), &body).await.unwrap();
                    assert_eq!(answer.json()["errcode"], 0);
                    drop(permit);
                });
            }
        })
    });
    let answering: Vec<_> = answering.collect();
    let mut replies = HashSet::new();
    let all = simulator.wait_for(since, PATIENCE * 3, |what| {
        if let Happening::Replied(reply) = what {
            assert!(replies.insert(reply.text()), "{} was answered twice", reply.text());
        }
        (replies.len() == MESSAGES).then_some(())
    });
    all.await.unwrap();
    until(|| simulator.stats().pending == 0).await;
    let stats = simulator.stats();
    assert_eq!((stats.sent, stats.acked, stats.dropped), (MESSAGES as u64, MESSAGES as u64, 0));
    answering.iter().for_each(tokio::task::JoinHandle::abort);
}
