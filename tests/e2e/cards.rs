//! Cards, live cards, messages that are taken back, and files: what a handler does in DingTalk besides its replies.

use std::time::Duration;

use belfry_simulator::{
    Card, CardChange, CardSpace, Content, Fault, Flow, Happening, Person, Place, Press, Say, SimulatorConfig,
    Via, conversation_id,
};

use crate::bot::{Bot, PATIENCE, Setup, doer, in_chat, private, wait_for};

/// The doer with these lines in its table.
fn doing(wasm: std::path::PathBuf, table: &str) -> Setup {
    let setup = Setup::with(&[("doer.wasm", wasm)]).tables(&format!("[plugins.doer]\n{table}\n"));
    setup.channel("allowed_users = [\"*\"]\noapi_base = \"{gateway}\"")
}

async fn start(table: &str) -> Bot {
    doing(doer().await, table).start().await
}

const TEMPLATE: &str = "chat = { card_template = \"t.schema\", card_interval = \"100ms\" }";

fn content(card: &Card) -> &str {
    card.data.get("content").map_or("", String::as_str)
}

async fn card(bot: &Bot, wanted: impl FnMut(&Card) -> bool) -> Card {
    let card = bot.simulator.wait_for_card(PATIENCE, wanted).await;
    card.unwrap_or_else(|missing| panic!("{missing}\nthe log is:\n{}", bot.log()))
}

/// The texts that were streamed into a card, in the order in which they came.
fn streamed(bot: &Bot, card: &Card) -> Vec<(String, Flow)> {
    let step = |change: CardChange| match change {
        CardChange::Streamed { content, flow, .. } => Some((content, flow)),
        _ => None,
    };
    let history = bot.simulator.card_history(&card.out_track_id);
    history.into_iter().filter_map(|change| step(change.step)).collect()
}

#[tokio::test]
async fn a_live_card_grows_and_is_finished() {
    let bot = start(TEMPLATE).await;
    bot.simulator.say(private("slow 300 one two three four"));
    let card = card(&bot, |card| card.flow == Flow::Finished).await;
    assert_eq!(content(&card), "one two three four ");
    assert_eq!(card.template, "t.schema");
    assert_eq!(card.spaces, [CardSpace::Person { staff_id: "manager1234".to_owned() }]);
    let steps = streamed(&bot, &card);
    assert!(steps.len() > 2, "it has grown before it was finished: {steps:?}");
    for (text, flow) in &steps[..steps.len() - 1] {
        assert!("one two three four ".starts_with(text.as_str()), "{steps:?}");
        assert_eq!(*flow, Flow::Inputting);
    }
    assert_eq!(bot.answers(0), Vec::<String>::new(), "nothing was said beside the card");
    // In a group it stands in the group.
    let group = conversation_id("team");
    bot.simulator.say(Say::group(&group, Person::default(), "live all of us"));
    let wanted = CardSpace::Group { conversation: group };
    let card = self::card(&bot, |card| card.flow == Flow::Finished && card.spaces.contains(&wanted)).await;
    assert_eq!(content(&card), "all of us ");
}

#[tokio::test]
async fn a_live_card_ends_whatever_its_handler_does() {
    let bot = start(TEMPLATE).await;
    bot.simulator.say(in_chat("a", "broken sorry one two"));
    let failed = card(&bot, |card| card.flow == Flow::Failed).await;
    assert_eq!(content(&failed), "one two \n\nsorry");
    bot.simulator.say(in_chat("b", "left here alone"));
    card(&bot, |card| card.flow == Flow::Finished && content(card) == "here alone ").await;
    // DingTalk takes no empty text.
    bot.simulator.say(in_chat("c", "blank"));
    card(&bot, |card| card.flow == Flow::Finished && content(card) == "\u{200b}").await;
    assert_eq!(bot.answers(0), Vec::<String>::new());
}

#[tokio::test]
async fn without_its_template_a_live_card_is_one_message() {
    let bot = start(TEMPLATE).await;
    bot.simulator.add_fault(Fault::template_unknown()).unwrap();
    let reply = bot.ask(private("live one two three"), "one two three").await;
    assert_eq!(reply.msgtype(), "markdown");
    // What comes after it is said after it, so that there is nothing more to come.
    bot.ask(private("read"), "n  list").await;
    assert_eq!(bot.replies(0, "one"), 1);
    let told = "a live card cannot be shown";
    let line = bot.logged(&[told]).await;
    assert!(line.contains("card_template") && line.contains("t.schema"), "{line}");
    assert_eq!(bot.log().matches(told).count(), 1);
}

#[tokio::test]
async fn a_live_card_that_is_dropped_is_a_message_without_a_template() {
    let bot = start("").await;
    bot.ask(private("left here alone"), "here alone").await;
    assert_eq!(bot.replies(0, "here"), 1);
}

#[tokio::test]
async fn what_dingtalk_refuses_for_a_while_is_shown_later() {
    let bot = start(TEMPLATE).await;
    bot.simulator.add_fault(Fault::status(Place::Card, 503, "{}").times(1)).unwrap();
    bot.simulator.say(private("slow 900 one two three four five"));
    card(&bot, |card| content(card).starts_with("one")).await;
    bot.simulator.add_fault(Fault::status(Place::Card, 500, "{}").obeyed_first().times(1)).unwrap();
    bot.simulator.add_fault(Fault::retry_after(Place::Card, 1).times(2)).unwrap();
    bot.simulator.add_fault(Fault::status(Place::Card, 502, "{}").times(1)).unwrap();
    let all = wait_for("all faults", || bot.simulator.faults().is_empty().then_some(())).await;
    all.unwrap_or_else(|problem| {
        panic!("{problem}: {:?}\nthe log is:\n{}", bot.simulator.faults(), bot.log())
    });
    card(&bot, |card| card.flow == Flow::Finished && content(card) == "one two three four five ").await;
    assert_eq!(bot.simulator.cards().len(), 1);
    assert_eq!(bot.answers(0), Vec::<String>::new());
}

#[tokio::test]
async fn a_card_that_was_made_without_dingtalk_saying_so_is_used() {
    let bot = start(TEMPLATE).await;
    bot.simulator.add_fault(Fault::status(Place::Card, 500, "{}").obeyed_first().times(1)).unwrap();
    bot.simulator.say(private("live one two"));
    card(&bot, |card| card.flow == Flow::Finished && content(card) == "one two ").await;
    assert_eq!(bot.simulator.cards().len(), 1);
}

#[tokio::test]
async fn a_card_is_sent_pressed_and_changed() {
    let bot = start("chat = { users = [\"*\"] }").await;
    let answer = bot.ask(private("card"), "card ").await.text();
    let id = answer.strip_prefix("card ").unwrap().to_owned();
    assert!(id.starts_with("doer."), "{id}");
    card(&bot, |card| *card.out_track_id == *id && card.callbacks && card.data["count"] == "0").await;

    let since = bot.simulator.now();
    let pressed = bot.simulator.press(Press::new(&id, "vote").by("kim")).unwrap();
    let ack = bot.simulator.wait_for_ack(since, pressed.push, PATIENCE).await.unwrap();
    assert_eq!(ack.response().unwrap()["cardData"]["cardParamMap"]["count"], "1", "{}", bot.log());
    let shown = bot.simulator.card(&id).unwrap();
    assert_eq!((shown.data["count"].as_str(), shown.data["title"].as_str()), ("1", "votes"));
    assert_eq!(shown.private_data["kim"]["mine"], "vote");

    // Later changes: from another message, and from the action itself, after its answer.
    bot.simulator.add_fault(Fault::status(Place::Card, 503, "{}").times(1)).unwrap();
    bot.ask(private(&format!("update {id} renamed")), "updated Ok(())").await;
    let shown = bot.simulator.card(&id).unwrap();
    assert_eq!((shown.data["count"].as_str(), shown.data["title"].as_str()), ("1", "renamed"));
    bot.ask(private("update faq.0011 renamed"), "is no card of this plugin").await;

    let since = bot.simulator.now();
    let pressed = bot.simulator.press(Press::new(&id, "later").by("kim")).unwrap();
    let ack = bot.simulator.wait_for_ack(since, pressed.push, PATIENCE).await.unwrap();
    assert_eq!(ack.response().unwrap()["cardData"]["cardParamMap"]["count"], "2", "{}", bot.log());
    card(&bot, |card| *card.out_track_id == *id && card.data["title"] == "changed later").await;
    let grown = |what: &Happening| match what {
        Happening::Replied(reply) if reply.staff_id.as_deref() == Some("kim") => Some(reply.text()),
        _ => None,
    };
    let grown = bot.simulator.wait_for(since, PATIENCE, grown).await.unwrap();
    assert_eq!(grown.trim(), "grown after an action");
}

#[tokio::test]
async fn what_was_sent_is_taken_back() {
    let group = conversation_id("team");
    let bot = start(&format!("chat = {{ users = [\"kim\"], groups = [\"{group}\"] }}")).await;
    for (ask, via) in
        [("user kim hello".to_owned(), Via::People), (format!("group {group} hello"), Via::Group)]
    {
        let since = bot.simulator.now();
        bot.ask(private(&ask), "recalled Ok(()), again true").await;
        let sent = |what: &Happening| match what {
            Happening::Replied(reply) if reply.via == via => reply.key.clone(),
            _ => None,
        };
        let key = bot.simulator.wait_for(since, PATIENCE, sent).await.unwrap();
        let recalled = |what: &Happening| match what {
            Happening::Recalled { keys, .. } => Some(keys.clone()),
            _ => None,
        };
        assert_eq!(bot.simulator.wait_for(since, PATIENCE, recalled).await.unwrap(), [key.to_string()]);
    }
    // DingTalk cannot take back what a session webhook brought.
    let refused = bot.ask(private("here hello"), "recalled Err").await.text();
    assert!(refused.contains("current conversation"), "{refused}");
    let refused = bot.ask(private("user lee hello"), "").await;
    drop(refused);
    bot.logged(&["may not write to the user", "lee"]).await;
}

#[tokio::test]
async fn files_come_and_go() {
    let bot = start("limits = { transfer = \"1KiB\" }").await;
    let picture = |code: &str| private("").content(Content::Picture { download_code: code.to_owned() });
    bot.simulator.put_file("small", "a small picture");
    bot.ask(picture("small"), "has 15 bytes: a small picture").await;
    bot.simulator.put_file("large", vec![b'x'; 1_025]);
    let refused = bot.ask(picture("large"), "nothing: ").await.text();
    assert!(refused.contains("Limit"), "{refused}");
    let refused = bot.ask(private("download nonsense"), "nothing: ").await.text();
    assert!(refused.contains("Invalid"), "{refused}");

    let since = bot.simulator.now();
    let answer = bot.ask(private("upload what is in it"), "uploaded ").await.text();
    let media_id = answer.strip_prefix("uploaded ").unwrap();
    let (upload, content) = bot.simulator.upload(media_id).unwrap();
    assert_eq!((upload.media_type.as_str(), upload.name.as_str()), ("image", "a.png"));
    assert_eq!(content, "what is in it");
    // A session webhook has no picture message; markdown shows one.
    assert_eq!(bot.replies(since, &format!("![]({media_id})")), 1, "{:?}", bot.answers(since));
}

/// Cards at the same time, each in a conversation of its own.
const MANY: usize = 200;

#[tokio::test]
async fn many_live_cards_share_what_dingtalk_allows() {
    let table = "limits = { deadline = \"300s\" }\n\
                 chat = { card_template = \"t.schema\", card_interval = \"200ms\" }";
    let config = SimulatorConfig { api_per_second: Some(20), ..SimulatorConfig::default() };
    let bot = doing(doer().await, table).start_unconnected(config).await;
    bot.connected(1).await;
    let (began, since) = (std::time::Instant::now(), bot.simulator.now());
    for n in 0..MANY {
        bot.simulator.say(in_chat(&format!("many{n}"), &format!("slow 4000 number-{n}. a b c d e")));
    }
    let within = Duration::from_secs(240);
    for n in 0..MANY {
        let whole = format!("number-{n}. a b c d e ");
        let done = |card: &Card| card.flow == Flow::Finished && content(card) == whole;
        let done = bot.simulator.wait_for_card(within, done).await;
        done.unwrap_or_else(|missing| panic!("number {n}: {missing}\nthe log is:\n{}", bot.log()));
    }
    let took = began.elapsed();
    let cards = bot.simulator.cards();
    assert_eq!(cards.len(), MANY);
    let refused = |what: &Happening| matches!(what, Happening::Refused { .. });
    let page = bot.simulator.records(since, usize::MAX);
    let refused: Vec<_> = page.records.iter().filter(|record| refused(&record.what)).collect();
    assert!(refused.is_empty(), "more calls than are allowed: {refused:?}");
    let grown: Vec<usize> = cards.iter().map(|card| streamed(&bot, card).len()).collect();
    let still = grown.iter().filter(|steps| **steps < 2).count();
    assert_eq!(still, 0, "cards that did not grow: {grown:?}");
    assert_eq!(bot.answers(since), Vec::<String>::new());
    eprintln!(
        "{MANY} live cards: {took:.1?}, {} calls, each card {} to {} updates",
        bot.simulator.stats().api_calls,
        grown.iter().min().unwrap(),
        grown.iter().max().unwrap(),
    );
}
