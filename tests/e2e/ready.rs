//! The ready plugins that need more than a reply: live cards, interactive cards, schedules.

use std::sync::{Arc, Mutex};

use belfry_simulator::{CardSpace, Flow, Person, Press, Say, conversation_id};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::bot::{Bot, PATIENCE, Setup, approve, assistant, private, standup, wait_for};

/// A model on loopback. It says its words one by one, each after the first when it is let.
struct Endpoint {
    port: u16,
    /// How many more words may be said.
    words: Arc<Semaphore>,
    /// The requests, head and body.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (words, asked) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (in_task, noted) = (words.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, in_task.clone(), noted.clone()));
            }
        });
        Self { port, words, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The assistant that asks it.
    async fn bot(&self, more: &str) -> Bot {
        let port = self.port;
        let table = format!(
            "[plugins.assistant]\npath = \"plugins/assistant.wasm\"\n\
             http = [{{ host = \"127.0.0.1\", port = {port}, scheme = \"http\", private = true, \
             headers = {{ Authorization = \"Bearer sk-loopback\" }} }}]\n\
             config = {{ url = \"http://127.0.0.1:{port}/v1\", model = \"small\" }}\n{more}\n"
        );
        Setup::with(&[("assistant.wasm", assistant().await)]).tables(&table).start().await
    }
}

/// Answers one request. What is asked decides how: `busy` is refused the first time, `break` ends in the middle.
async fn answer(mut stream: TcpStream, words: Arc<Semaphore>, asked: Arc<Mutex<Vec<String>>>) {
    let Some(request) = request(&mut stream).await else { return };
    let busy = request.contains("busy") && asked.lock().unwrap().iter().all(|asked| !asked.contains("busy"));
    let breaks = request.contains("break");
    asked.lock().unwrap().push(request);
    if busy {
        let refused = "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy";
        let _ = stream.write_all(refused.as_bytes()).await;
        return;
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let event = |word: &str| {
        format!(": keep-alive\n\ndata: {{\"choices\":[{{\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n")
    };
    for (number, word) in ["Hello", ", ", "世界", "!"].into_iter().enumerate() {
        if number > 0 {
            words.acquire().await.unwrap().forget();
        }
        // Each event in two pieces, parted within a character where there is one of several bytes.
        let event = event(word).into_bytes();
        let at = event.iter().position(|byte| !byte.is_ascii()).map_or(event.len() / 2, |at| at + 1);
        for piece in [&event[..at], &event[at..]] {
            if chunk(&mut stream, piece).await.is_err() {
                return;
            }
        }
        if breaks {
            return;
        }
    }
    let end =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n";
    let _ = chunk(&mut stream, end.as_bytes()).await;
    let _ = stream.write_all(b"0\r\n\r\n").await;
}

async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        // The body is JSON: it is whole when it can be read.
        let body = body.find('{').and_then(|begin| body.get(begin..=body.rfind('}')?));
        if body.is_some_and(|body| serde_json::from_str::<serde_json::Value>(body).is_ok()) {
            return Some(format!("{}\n{}", head.to_ascii_lowercase(), body.unwrap_or_default()));
        }
    }
}

async fn chunk(stream: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
    stream.write_all(piece).await?;
    stream.write_all(b"\r\n").await?;
    stream.flush().await
}

const CARDS: &str = "chat = { card_template = \"answer.schema\", card_interval = \"100ms\" }";

#[tokio::test]
async fn an_answer_grows_in_a_live_card() {
    let endpoint = Endpoint::start().await;
    let bot = endpoint.bot(CARDS).await;
    let since = bot.simulator.now();
    bot.simulator.say(private("hi"));
    let shows = |text: &'static str, flow: Flow| {
        bot.simulator.wait_for_card(PATIENCE, move |card| {
            card.template == "answer.schema"
                && card.flow == flow
                && card.data.get("content").is_some_and(|shown| shown == text)
        })
    };
    // The rest of the answer waits for this: the card shows what is there of it.
    let first = shows("Hello", Flow::Inputting).await;
    first.unwrap_or_else(|missing| panic!("{missing}: {}", bot.log()));
    endpoint.words.add_permits(2);
    shows("Hello, 世界", Flow::Inputting).await.unwrap();
    endpoint.words.add_permits(1);
    shows("Hello, 世界!", Flow::Finished).await.unwrap();
    bot.logged(&["small: 7 tokens read, 4 written, 0 turns remembered"]).await;
    assert_eq!(bot.answers(since), Vec::<String>::new(), "the card is the answer");

    // It is remembered, and `/reset` forgets it.
    endpoint.words.add_permits(100);
    bot.simulator.say(private("and now?"));
    bot.logged(&["1 turns remembered"]).await;
    let asked = endpoint.asked();
    assert!(asked[0].contains("authorization: bearer sk-loopback"), "{}", asked[0]);
    assert!(
        asked[1].contains(r#"{"role":"assistant","content":"Hello, 世界!"},{"role":"user""#),
        "{}",
        asked[1]
    );
    bot.ask(private("重置"), "Forgotten").await;
    let before = bot.log();
    bot.simulator.say(private("who are you?"));
    bot.logged_after(&before, &["0 turns remembered"]).await;
    assert!(!bot.log().contains("sk-loopback"));
}

#[tokio::test]
async fn without_a_template_the_answer_is_one_message_after_a_refusal_too() {
    let endpoint = Endpoint::start().await;
    endpoint.words.add_permits(100);
    let bot = endpoint.bot("").await;
    let since = bot.simulator.now();
    let reply = bot.ask(private("are you busy?"), "Hello, 世界!").await;
    assert_eq!(reply.msgtype(), "markdown");
    bot.ask(private("重置"), "Forgotten").await;
    assert_eq!(bot.replies(since, "Hello"), 1, "{:?}", bot.answers(since));
    assert_eq!(endpoint.asked().len(), 2, "it was tried again");
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_its_card_as_failed() {
    let endpoint = Endpoint::start().await;
    let bot = endpoint.bot(CARDS).await;
    bot.simulator.say(private("break"));
    let failed = bot.simulator.wait_for_card(PATIENCE, |card| card.flow == Flow::Failed).await;
    let card = failed.unwrap_or_else(|missing| panic!("{missing}: {}", bot.log()));
    let shown = &card.data["content"];
    assert_eq!(shown, "Hello\n\n*The answer broke off here. Please ask again.*");
    assert_eq!(endpoint.asked().len(), 1, "what somebody has read is not asked again");
}

#[tokio::test]
async fn an_answer_that_a_crash_cuts_off_comes_again_and_is_remembered_once() {
    let endpoint = Endpoint::start().await;
    let mut bot = endpoint.bot(&format!("{CARDS}\n[journal]\npath = \"belfry.journal\"")).await;
    bot.simulator.say(private("hi"));
    let begun = bot.simulator.wait_for_card(PATIENCE, |card| card.flow == Flow::Inputting).await;
    begun.unwrap_or_else(|missing| panic!("{missing}: {}", bot.log()));
    bot.kill_and_restart().await;
    endpoint.words.add_permits(100);
    let ended = bot.simulator.wait_for_card(PATIENCE, |card| card.flow == Flow::Finished).await;
    ended.unwrap_or_else(|missing| panic!("{missing}: {}", bot.log()));
    assert_eq!(bot.simulator.cards().len(), 1, "the card that was begun goes on");
    bot.simulator.say(private("and now?"));
    bot.logged(&["1 turns remembered"]).await;
    let asked = endpoint.asked();
    let asked = asked.last().unwrap();
    assert_eq!(asked.matches(r#"{"role":"user","content":"hi"}"#).count(), 1, "{asked}");
}

#[tokio::test]
async fn a_request_is_approved_on_its_card() {
    let table = "[plugins.approve]\npath = \"plugins/approve.wasm\"\nchat = { users = [\"*\"] }\n\
                 config = { template = \"approve.schema\", approvers = \"mei=Mei, bob=Bob\" }\n";
    let bot = Setup::with(&[("approve.wasm", approve().await)]).tables(table).start().await;
    let simulator = &bot.simulator;
    bot.ask(private("/approve Laptop: 8000 yuan"), "was sent to Bob, Mei").await;
    let of = |person: &str| {
        let at = CardSpace::Person { staff_id: person.to_owned() };
        simulator.cards().into_iter().find(|card| card.spaces.contains(&at)).unwrap()
    };
    let (bobs, meis) = (of("bob"), of("mei"));
    assert_eq!((&*bobs.data["state"], &*meis.data["text"]), ("waiting", "8000 yuan"));

    // Somebody else sees why not, alone.
    simulator.press(Press::new(&*meis.out_track_id, "approve").by("eve")).unwrap();
    let told = simulator.wait_for_card(PATIENCE, |card| card.private_data.contains_key("eve")).await.unwrap();
    assert!(told.private_data["eve"]["notice"].starts_with("Only those"), "{told:?}");
    assert_eq!(&*told.data["state"], "waiting");

    let since = simulator.now();
    let press = Press::new(&*meis.out_track_id, "approve").by("mei");
    simulator.press(press.params(serde_json::json!({"comment": "fine"}))).unwrap();
    for id in [&meis.out_track_id, &bobs.out_track_id] {
        let approved = |card: &belfry_simulator::Card| {
            card.out_track_id == *id && card.data["state"] == "approved" && card.data["decided_by"] == "Mei"
        };
        let seen = simulator.wait_for_card(PATIENCE, approved).await;
        seen.unwrap_or_else(|missing| panic!("{missing}: {}", bot.log()));
    }
    let told = "\"Laptop\" was **approved** by Mei.";
    wait_for("the answer", || (bot.replies(since, told) == 1).then_some(())).await.unwrap();

    simulator.press(Press::new(&*bobs.out_track_id, "reject").by("bob")).unwrap();
    let told = simulator.wait_for_card(PATIENCE, |card| card.private_data.contains_key("bob")).await.unwrap();
    assert!(told.private_data["bob"]["notice"].contains("approved by Mei already"), "{told:?}");
    bot.ask(private("/approve list"), "- Laptop: approved (Mei, ").await;
}

#[tokio::test]
async fn a_group_is_asked_and_gets_a_summary() {
    let group = conversation_id("team");
    let table = format!(
        "[plugins.standup]\npath = \"plugins/standup.wasm\"\n\
         schedule = [{{ name = \"ask\", cron = \"* * * * * *\" }}, {{ name = \"summary\", cron = \"* * * * * *\" }}]\n\
         chat = {{ groups = [\"{group}\"] }}\n\
         config = {{ group = \"{group}\", members = \"mei=Mei, bob=Bob\", questions = \"What is new?\" }}\n"
    );
    let bot = Setup::with(&[("standup.wasm", standup().await)]).tables(&table).start().await;
    let sees = async |part: &str| {
        let seen = wait_for(part, || (bot.replies(0, part) > 0).then_some(())).await;
        seen.unwrap_or_else(|problem| panic!("{problem}: {:?} {}", bot.answers(0), bot.log()));
    };
    sees("1. What is new?").await;
    sees("Nobody has answered yet.").await;
    let mei = Person::staff("mei", "Mei Lin");
    bot.ask(Say::private(conversation_id("mei"), mei, "/standup A\nand B"), "Noted.").await;
    sees("**Mei**\n\n> A  \n> and B\n\n**Not yet (1)**: Bob").await;
}
