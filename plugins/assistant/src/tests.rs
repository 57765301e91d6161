//! Conversations with a fake endpoint.

use belfry_plugin::testing::{self, Live, LiveState, Said, message, response, say};
use belfry_plugin::types::{Media, Quoted, RichTextPart};

use super::*;

const URL: &str = "https://llm.test/v1/chat/completions";

fn stream(words: &[&str]) -> String {
    let deltas = words.iter().map(|word| {
        let chunk = serde_json::json!({"choices": [{"index": 0, "delta": {"content": word}}]});
        format!("data: {chunk}\n\n")
    });
    let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
               data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";
    format!(": connected\n\n{}{end}", deltas.collect::<String>())
}

fn set_up(status: u16, body: impl Into<String>) {
    let body = body.into();
    testing::set_config("url", "https://llm.test/v1");
    testing::set_config("model", "small");
    testing::on_fetch(move |_| Ok(response(status, body.clone())));
}

fn ask(id: &str, text: &str) -> Said {
    Said(Assistant::on_message(Message { id: id.to_owned(), ..message(text) }))
}

/// What the endpoint was asked last: role and content.
fn asked() -> Vec<(String, String)> {
    let requests = testing::requests();
    let body = requests.last().and_then(|request| request.body.clone()).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let messages = body["messages"].as_array().unwrap().iter();
    messages.map(|message| (text(&message["role"]), text(&message["content"]))).collect()
}

fn live(text: &str, state: LiveState) -> Live {
    Live { to: Target::Current, title: "Answer".into(), text: text.into(), state }
}

#[test]
fn an_answer_grows_in_a_card_and_is_remembered() {
    set_up(200, stream(&["Hello", ", ", "世界", "!"]));
    testing::set_config("system", "Be brief.");
    testing::set_config("temperature", "0.2");
    testing::set_config("max_tokens", "50");
    assert_eq!(ask("m1", "hi").0, Ok(Outcome::silent()));
    assert_eq!(testing::live(), [live("Hello, 世界!", LiveState::Finished)]);
    assert_eq!(testing::logs(), ["info: small: 12 tokens read, 3 written, 0 turns remembered"]);
    let request = &testing::requests()[0];
    assert_eq!(request.url, URL);
    let body: serde_json::Value = serde_json::from_slice(request.body.as_deref().unwrap()).unwrap();
    let wanted = serde_json::json!({
        "model": "small", "stream": true, "stream_options": {"include_usage": true},
        "temperature": 0.2, "max_tokens": 50,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
    });
    assert_eq!(body, wanted);

    ask("m2", "and now?").0.unwrap();
    let pairs = asked();
    let contents: Vec<&str> = pairs.iter().map(|(_, content)| content.as_str()).collect();
    assert_eq!(contents, ["Be brief.", "hi", "Hello, 世界!", "and now?"]);
}

#[test]
fn a_message_that_is_handled_again_is_remembered_once() {
    set_up(200, stream(&["a"]));
    ask("m1", "one").0.unwrap();
    let again = Message { id: "m1".into(), attempt: 2, ..message("one") };
    Assistant::on_message(again).unwrap();
    assert_eq!(asked(), [("user".to_owned(), "one".to_owned())]);
    ask("m2", "two").0.unwrap();
    assert_eq!(asked().len(), 3);
}

#[test]
fn reset_forgets() {
    set_up(200, stream(&["a"]));
    for word in ["/reset", "/RESET", "重置"] {
        ask("m1", "one").0.unwrap();
        assert!(testing::value("memory", "cid1").is_some());
        assert_eq!(ask("m2", word).texts(), ["Forgotten. What shall we talk about?"]);
        assert_eq!(testing::value("memory", "cid1"), None);
    }
    testing::set_config("language", "zh");
    assert_eq!(say::<Assistant>("重置").texts(), ["已清空对话记录。想聊点什么？"]);
}

#[test]
fn groups_share_a_conversation_or_do_not() {
    set_up(200, stream(&["a"]));
    let mut said = message("who am I?");
    said.conversation.kind = belfry_plugin::types::ConversationKind::Group;
    Assistant::on_message(said.clone()).unwrap();
    assert_eq!(asked()[0].1, "Li Wei: who am I?");
    assert!(testing::value("memory", "cid1").is_some());
    testing::set_config("groups", "person");
    Assistant::on_message(said).unwrap();
    assert_eq!(asked()[0].1, "who am I?");
    assert!(testing::value("memory", "cid1 $:LWCP_v1:$liwei").is_some());
}

#[test]
fn failures_say_what_to_do_and_whether_to_try_again() {
    let quota = r#"{"error":{"message":"no credit","code":"insufficient_quota"}}"#;
    let cases = [
        (401, r#"{"error":{"message":"Incorrect key sk-abc"}}"#, false, "headers = { Authorization"),
        (403, "", false, "refuses the key (403)"),
        (404, r#"{"error":{"message":"no such model"}}"#, false, "(`small`); it says: no such model"),
        (400, r#"{"error":"bad\n field"}"#, false, "answered 400: bad field"),
        (301, "", false, "correct the setting `url`"),
        (429, "{}", true, "answered 429"),
        (429, quota, false, "no credit left: no credit"),
        (503, "<h1>busy</h1>", true, "answered 503: <h1>busy</h1>"),
    ];
    for (status, body, temporary, part) in cases {
        set_up(status, body);
        let failure = say::<Assistant>("hi").0.unwrap_err();
        assert_eq!(matches!(failure, Failure::Temporary(_)), temporary, "{status}: {failure}");
        assert!(
            failure.reason().contains(part) && !failure.reason().contains("sk-abc"),
            "{status}: {failure}"
        );
    }
    testing::on_fetch(|_| Err(fetch::Error::Timeout("late".into())));
    assert_eq!(say::<Assistant>("hi").0, Err(Failure::temporary("late")));
    assert_eq!(testing::live(), [], "nobody saw a card");
}

#[test]
fn what_breaks_off_is_told_once_something_was_shown() {
    set_up(200, "");
    let broken = |body: &str| {
        let mut response = response(200, body);
        response.headers.push(("breaks".into(), "yes".into()));
        testing::on_fetch(move |_| Ok(response.clone()));
    };
    let words = "data: {\"choices\":[{\"delta\":{\"content\":\"Well\"}}]}\n\n";
    broken(": wait\n\n");
    assert_eq!(say::<Assistant>("hi").0, Err(Failure::temporary("the connection broke")));
    broken(words);
    assert_eq!(say::<Assistant>("hi").0, Ok(Outcome::silent()));
    let failed = LiveState::Failed("*The answer broke off here. Please ask again.*".into());
    assert_eq!(testing::live(), [live("Well", failed.clone())]);
    assert_eq!(testing::value("memory", "cid1"), None, "half an answer is not remembered");
    // The stream ends without an end, and one with an error in it.
    set_up(200, words);
    say::<Assistant>("hi").0.unwrap();
    set_up(200, format!("{words}data: {{\"error\":{{\"message\":\"overloaded\"}}}}\n\n"));
    say::<Assistant>("hi").0.unwrap();
    assert_eq!(testing::live()[1..], [live("Well", failed.clone()), live("Well", failed)]);
    assert!(testing::logs().last().unwrap().contains("overloaded"));
}

#[test]
fn other_ends_of_an_answer() {
    set_up(200, "data: {\"choices\":[{\"delta\":{\"content\":\"Well\"},\"finish_reason\":\"length\"}]}\n\n");
    ask("m1", "hi").0.unwrap();
    assert!(testing::live()[0].text.contains("Well\n\n*The answer is longer than allowed"));
    assert!(!testing::value("memory", "cid1").unwrap().contains("longer than allowed"));
    set_up(200, stream(&[]));
    assert_eq!(say::<Assistant>("hi").texts(), ["The model has no answer to this. Try it in other words."]);
    testing::on_fetch(|_| {
        let mut whole = response(200, r#"{"choices":[{"message":{"content":"all at once"}}]}"#);
        whole.headers.push(("content-type".into(), "application/json".into()));
        Ok(whole)
    });
    ask("m2", "hi").0.unwrap();
    assert_eq!(testing::live()[1].text, "all at once");
    set_up(200, stream(&[&"x".repeat(LONGEST), "never shown"]));
    ask("m3", "hi").0.unwrap();
    let longest = &testing::live()[2].text;
    assert!(longest.len() < LONGEST + 1000 && longest.ends_with("cut off here.*"));
}

#[test]
fn only_words_are_answered() {
    set_up(200, stream(&["a"]));
    let media = || Media { download_code: "c".into() };
    let picture = Message { content: Content::Picture(media()), ..message("") };
    let only_text = "I can read text only, so far. Tell me in words what it is about.";
    assert_eq!(Said(Assistant::on_message(picture)).texts(), [only_text]);
    assert_eq!(say::<Assistant>(" ").texts(), [settings::Settings::read().unwrap().words.ask_me]);
    let parts = vec![RichTextPart::Text("what is ".into()), RichTextPart::Picture(media())];
    let mut rich = Message { content: Content::RichText(parts), ..message("") };
    Assistant::on_message(rich.clone()).unwrap();
    assert_eq!(asked()[0].1, "what is [a picture, which you cannot see]");
    rich.content = Content::RichText(vec![RichTextPart::Picture(media())]);
    assert_eq!(testing::requests().len(), 1);
    assert_eq!(Said(Assistant::on_message(rich)).texts(), [only_text]);
}

#[test]
fn commands_are_taken_off_and_quotes_put_before() {
    set_up(200, stream(&["a"]));
    testing::set_config("command", "/ask");
    let quoted = Quoted {
        id: None,
        sender_id: None,
        sent_at: 0,
        kind: "text".into(),
        text: Some("first\nsecond".into()),
        pictures: Vec::new(),
    };
    Assistant::on_message(Message { quoted: Some(quoted), ..message("/ASK what is this?") }).unwrap();
    assert_eq!(asked()[0].1, "> first\n> second\n\nwhat is this?");
}
