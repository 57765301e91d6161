//! Messages at a rate, and what came back.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use belfry_simulator::{Happening, Person, Say, Simulator, conversation_id};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Conversations that the messages are spread over.
const CONVERSATIONS: usize = 50;

/// What is sent.
pub struct Load {
    /// Messages.
    pub count: usize,
    /// Messages per second.
    pub rate: u32,
    /// How long to wait for the last answers after the last message.
    pub patience: Duration,
}

/// What came back.
pub struct Outcome {
    /// Messages answered at least once.
    pub answered: usize,
    /// Answers beyond the first to one message.
    pub repeated: usize,
    /// From push to reply, sorted.
    latencies: Vec<Duration>,
    /// From the first push to the last reply.
    pub took: Duration,
}

impl Outcome {
    /// The latency that `share` (0 to 1) of the answered messages stayed under.
    pub fn latency(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }
}

impl Load {
    /// Sends the messages, each with `text` and a number of its own, and waits for the answers. `heard` is told each
    /// answer's text.
    pub async fn run(
        &self,
        simulator: &Simulator,
        text: &str,
        mut heard: impl FnMut(&str),
    ) -> Result<Outcome> {
        let mut watch = simulator.watch(simulator.now());
        let mut sent: HashMap<String, (Instant, usize)> = HashMap::with_capacity(self.count);
        let mut latencies = Vec::with_capacity(self.count);
        let (mut repeated, mut pushed) = (0, 0);
        let started = Instant::now();
        let mut ticks = interval(Duration::from_millis(5));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut finished = started;
        while latencies.len() < self.count && (pushed < self.count || finished.elapsed() < self.patience) {
            tokio::select! {
                biased;
                _ = ticks.tick(), if pushed < self.count => {
                    let due = (started.elapsed().as_secs_f64() * f64::from(self.rate)) as usize;
                    while pushed < due.min(self.count) {
                        let conversation = conversation_id(&format!("bench{}", pushed % CONVERSATIONS));
                        let words = format!("{text} #{pushed}");
                        sent.insert(words.clone(), (Instant::now(), 0));
                        simulator.say(Say::private(conversation, Person::default(), words));
                        pushed += 1;
                    }
                    finished = Instant::now();
                }
                record = watch.next() => {
                    let Some(record) = record else { break };
                    let Happening::Replied(reply) = &record.what else { continue };
                    let words = reply.text();
                    heard(&words);
                    // A bot may answer with more than it was told, but the number comes back at the end.
                    let number = words.rsplit('#').next().unwrap_or_default();
                    let Some((at, answers)) = sent.get_mut(&format!("{text} #{number}")) else { continue };
                    *answers += 1;
                    if *answers == 1 {
                        latencies.push(at.elapsed());
                    } else {
                        repeated += 1;
                    }
                    finished = Instant::now();
                }
                () = sleep(self.patience) => break,
            }
        }
        let took = finished.duration_since(started);
        // Answers that should not come would come about now.
        while let Ok(Some(record)) = timeout(Duration::from_millis(200), watch.next()).await {
            repeated += usize::from(matches!(record.what, Happening::Replied(_)));
        }
        latencies.sort_unstable();
        Ok(Outcome { answered: latencies.len(), repeated, latencies, took })
    }
}
