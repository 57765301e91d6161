//! `belfry simulate`: a DingTalk on this machine, for a bot in another process.

use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context as _;
use belfry_simulator::{
    CardChange, CardStep, ClosedBy, Happening, OutcomeUnknown, Person, Record, Simulator, SimulatorConfig,
    Told, Via,
};
use tokio::sync::mpsc;

use crate::cli::SimulateArgs;
use crate::console;
use crate::signals::StopSignals;

pub(super) async fn run(args: SimulateArgs) -> anyhow::Result<ExitCode> {
    let config = SimulatorConfig {
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        speed: args.speed,
        ..SimulatorConfig::default()
    };
    let mut stop = StopSignals::new()?;
    let simulator = Simulator::start(config)
        .await
        .with_context(|| format!("simulate DingTalk on port {} (--port 0 takes a free one)", args.port))?;
    super::print(&directions(simulator.base_url()))?;
    let mut records = simulator.watch(0);
    let mut lines = lines();
    let user = Person::default().staff_id.unwrap_or_default();
    loop {
        tokio::select! {
            Some(line) = lines.recv() => {
                let said = match line.trim() {
                    "" => continue,
                    line => console::obey(&simulator, line, &user),
                };
                super::print(&format!("{}\n", said.as_deref().unwrap_or(console::HELP)))?;
            }
            () = stop.wait() => break,
            record = records.next() => match record {
                Some(record) => if let Some(line) = line(&record) {
                    super::print(&format!("{line}\n"))?;
                },
                None => break,
            },
        }
    }
    simulator.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// What is typed. Nothing where reading would stop the process, as in the background of a shell.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    #[cfg(unix)]
    {
        use rustix::{process::getpgrp, termios::tcgetpgrp};
        if std::io::stdin().is_terminal() && tcgetpgrp(std::io::stdin()).ok() != Some(getpgrp()) {
            return lines;
        }
    }
    // A thread of its own: one that waits for a line cannot be ended, and must not keep the runtime.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// How each SDK is pointed at the simulator.
fn directions(base: &str) -> String {
    format!(
        r#"A simulated DingTalk listens on {base}. Any ClientID and secret will do. Stop it with Ctrl-C.

Belfry, in belfry.toml:

    [channels_config.dingtalk]
    client_id = "dingsimulated"
    client_secret = "any"
    allowed_users = ["*"]
    api_base = "{base}"
    oapi_base = "{base}"

Python SDK, in the environment before it is imported:

    export DINGTALK_OPENAPI_ENDPOINT={base}

Go SDK, an option of the client:

    client.WithOpenApiHost("{base}")

Node SDK, before the client connects, with the axios the SDK uses:

    axios.interceptors.request.use((request) => {{
      request.url = request.url.replace(/^https:\/\/(o?api)\.dingtalk\.com/, "{base}");
      return request;
    }});

Say something to the bot:

    curl {base}/_simulator/say -H 'content-type: application/json' -d '{{"conversation":"cid1","content":{{"kind":"text","text":"hello"}}}}'

Or type here:

{}

What else it can do (events, faults, disconnects, records):

    curl {base}/_simulator

"#,
        console::HELP
    )
}

/// What a person wants to see of what happens.
fn line(record: &Record) -> Option<String> {
    Some(match &record.what {
        Happening::Registered { client_id, ua, subscriptions, .. } => {
            let topics: Vec<&str> =
                subscriptions.iter().map(|subscription| subscription.topic.as_str()).collect();
            format!("registered  {client_id} ({ua}) for {}", topics.join(", "))
        }
        Happening::Opened { client_id, connection } => format!("opened      {client_id} {connection}"),
        Happening::Closed { client_id, by, reason, .. } => {
            let by = match by {
                ClosedBy::Client => "by the bot",
                ClosedBy::Lost => "by the bot, without a close frame",
                ClosedBy::Gateway => "by the simulator",
            };
            format!("closed      {client_id} {by} {reason}")
        }
        Happening::Sent(sent) if sent.attempt > 1 => {
            format!("sent again  {} {} (delivery {})", sent.client_id, sent.id, sent.attempt)
        }
        Happening::Sent(sent) => format!("sent        {} {}", sent.client_id, sent.id),
        Happening::Acked(acked) => format!("acked       {} {}", acked.client_id, acked.code),
        Happening::AckLost { client_id, code, .. } => {
            format!("ack lost    {client_id} {code}, as a fault says: it is sent again")
        }
        Happening::Replied(reply) => {
            let through = match reply.via {
                Via::Webhook => "",
                Via::People | Via::Group => " through the OpenAPI",
            };
            let unseen = if reply.posted { "" } else { " (a repeat, which nobody sees)" };
            format!("replied     {} {}{through}{unseen}: {}", reply.client_id, reply.msgtype(), reply.text())
        }
        Happening::Card(CardStep { client_id, out_track_id, step, .. }) => {
            let what = match step {
                CardChange::Created { template, spaces, data } => {
                    console::card(out_track_id, template, spaces, data)
                }
                CardChange::Updated { data, .. } => format!("{out_track_id}{}", console::variables(data)),
                CardChange::Answered { user, data, .. } => {
                    format!("{out_track_id} after a press of {user}{}", console::variables(data))
                }
                CardChange::Streamed { key, content, flow } => {
                    let end = console::ending(*flow).unwrap_or("growing");
                    format!("{out_track_id} {key}, {end}: {content}")
                }
            };
            format!("card        {client_id} {what}")
        }
        Happening::Recalled { client_id, keys, .. } => format!("recalled    {client_id} {}", keys.join(", ")),
        Happening::Located { client_id, code, .. } => format!("download    {client_id} {code}"),
        Happening::Uploaded(upload) => {
            format!("uploaded    {} {} ({} bytes)", upload.client_id, upload.name, upload.bytes)
        }
        Happening::OutcomeUnknown(unknown) => {
            let OutcomeUnknown { client_id, taken, told, .. } = unknown;
            let taken = if *taken { "the reply was taken" } else { "the reply was not taken" };
            let told = match told {
                Told::Reset => "had its connection reset".to_owned(),
                Told::Closed => "had its connection closed".to_owned(),
                Told::Answer { status } => format!("was answered {status}"),
                Told::Left => "got no answer".to_owned(),
            };
            format!("unknown     {} {taken}, and the bot {told}", client_id.as_deref().unwrap_or("-"))
        }
        Happening::Refused { status, code, reason, .. } => format!("refused     {status} {code} {reason}"),
        Happening::Dropped { client_id, id, reason, .. } => format!("given up    {client_id} {id} {reason}"),
        Happening::Stray { client_id, text, .. } => format!("stray text  {client_id} {text}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use belfry_simulator::{Place, Reply};

    use super::*;

    #[test]
    fn what_a_sender_cannot_know_is_told() {
        let told = |what| line(&Record { seq: 1, at_us: 0, what });
        let unknown = |taken, told| {
            Happening::OutcomeUnknown(OutcomeUnknown {
                call: 1,
                place: Place::Webhook,
                client_id: Some("dinga".into()),
                conversation: None,
                uuid: None,
                taken,
                told,
            })
        };
        assert_eq!(
            told(unknown(true, Told::Answer { status: 500 })).unwrap(),
            "unknown     dinga the reply was taken, and the bot was answered 500"
        );
        assert_eq!(
            told(unknown(false, Told::Reset)).unwrap(),
            "unknown     dinga the reply was not taken, and the bot had its connection reset"
        );
        let lost = Happening::AckLost {
            client_id: "dinga".into(),
            connection: "c".into(),
            push: 1,
            id: "m".into(),
            message_id: "x".into(),
            code: 200,
        };
        assert_eq!(told(lost).unwrap(), "ack lost    dinga 200, as a fault says: it is sent again");
        let reply = Reply {
            client_id: "dinga".into(),
            conversation: "cid".into(),
            via: Via::People,
            key: None,
            staff_id: None,
            call: 1,
            body: serde_json::json!({ "msgKey": "sampleText", "msgParam": "{\"content\":\"hi\"}" }),
            uuid: None,
            repeated: false,
            posted: true,
        };
        assert_eq!(
            told(Happening::Replied(reply)).unwrap(),
            "replied     dinga sampleText through the OpenAPI: hi"
        );
    }

    #[test]
    fn directions_name_the_address() {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("simulate_directions", directions("http://127.0.0.1:7171"));
        });
    }
}
