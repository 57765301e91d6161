//! What people say, and what they get.

use belfry_simulator::{
    Content, Happening, Person, Push, Say, SimulatorConfig, conversation_id,
    scenario::{self, Expectations},
};

use crate::bot::{CLIENT_ID, PATIENCE, SECRET, Setup, echo, help, private, wait_for};

#[tokio::test]
async fn the_script_of_the_official_sdks() {
    let bot = Setup::echo().await.start().await;
    let expected = Expectations {
        replies_to_repeated: 1,
        unknown_topic: Some(404),
        // No plugin handles events or cards, so they are not subscribed.
        events: false,
        cards: false,
        ..Expectations::new(CLIENT_ID)
    };
    let report = scenario::run(&bot.simulator, &expected).await;
    let report = report.unwrap_or_else(|failure| panic!("{failure}\nthe log is:\n{}", bot.log()));
    eprintln!("from `disconnect` to the next connection: {:?}", report.gap);
}

#[tokio::test]
async fn every_kind_of_message_reaches_the_plugin() {
    let bot = Setup::echo().await.start().await;
    let expected = [
        "You sent a picture",
        "You sent rich text in 5 parts",
        "钉钉，让进步发生",
        "a video of 4 s",
        "the file a.pdf",
        "# heading",
        "You sent a card",
        "two messages",
        "do not know: unknownMsgType",
        "do not know: hologram",
    ];
    let samples = Content::samples();
    assert_eq!(samples.len(), expected.len());
    for (content, part) in samples.into_iter().zip(expected) {
        bot.ask(private("").content(content), part).await;
    }
}

#[tokio::test]
async fn only_allowed_people_are_answered_and_nobody_is_resent() {
    let mut bot = Setup::echo()
        .await
        .channel("allowed_users = [\"kim\"]\ndenied_reply = \"please ask Kim\"")
        .start()
        .await;
    let since = bot.simulator.now();
    let say = |person: Person, text: &str| Say::private(conversation_id(&person.nick), person, text);
    bot.ask(say(Person::staff("lee", "Lee"), "let me in"), "please ask Kim").await;
    bot.simulator.say(say(Person::staff("lee", "Lee"), "let me in again"));
    bot.simulator.say(say(Person::external("Eve"), "and me"));
    bot.simulator.say(Say::group(conversation_id("group"), Person::staff("lee", "Lee"), "in public"));
    bot.simulator.say(say(Person::staff("kim", "Kim"), "   "));
    bot.ask(say(Person::staff("kim", "Kim"), "it is me"), "it is me").await;
    wait_for("the ack of everything, so that nothing comes again", || {
        (bot.simulator.stats().pending == 0).then_some(())
    })
    .await
    .unwrap();
    wait_for("three replies", || (bot.replies(since, "") >= 3).then_some(())).await.unwrap();
    // Nothing is sent after the end, so what was sent by then is all there will be.
    bot.terminate().await;
    assert_eq!(bot.replies(since, "please ask Kim"), 2, "Lee and Eve, once each");
    assert_eq!(bot.replies(since, ""), 3);
    // Lee three times and Eve once; nothing in Kim's first message.
    bot.logged(&["what became of the messages", "\"denied\":4", "\"empty\":1", "\"delivered\":3"]).await;
}

#[tokio::test]
async fn commands_go_to_their_plugin_and_help_lists_them() {
    let echo = echo().await;
    let tables = format!(
        "[plugins.shout]\npath = {echo:?}\ncommands = [\"/shout\"]\ndescription = \"Says it again\"\n\n\
         [plugins.help]\npath = {:?}\ncommands = [\"/help\"]\ndescription = \"Lists what there is\"\n",
        help().await
    );
    let bot = Setup::with(&[]).tables(&tables).start().await;
    bot.ask(private("/shout out loud"), "/shout out loud").await;
    let listed = bot.ask(private("/help"), "/shout").await.text();
    for part in ["/help", "Says it again", "Lists what there is"] {
        assert!(listed.contains(part), "{listed}");
    }
    // Neither takes what is no command of its own.
    let since = bot.simulator.now();
    bot.simulator.say(private("/unknown"));
    bot.logged(&["no plugin took the message"]).await;
    assert_eq!(bot.replies(since, ""), 0);
}

#[tokio::test]
async fn apps_share_nothing() {
    let sales = "[channels_config.dingtalk.apps.sales]\nclient_id = \"dingsales\"\nclient_secret = \"other\"\n\
                 api_base = \"{gateway}\"\nallowed_users = [\"kim\"]\nplugins = [\"help\"]\n\
                 [plugins.help]\ndescription = \"Lists things\"\n[plugins.echo]\ndescription = \"Repeats things\"\n";
    let bot = Setup::with(&[("echo.wasm", echo().await), ("help.wasm", help().await)])
        .tables(sales)
        .channel("allowed_users = [\"*\"]\nplugins = [\"echo\"]")
        .start_unconnected(SimulatorConfig::default())
        .await;
    bot.connected(2).await;
    let since = bot.simulator.now();
    // One message to two robots has one msgId: both answer, each in its own way.
    let both = |client_id: &str| private("/help").to(client_id).with_msg_id("msgShared==");
    let lee = Person::staff("lee", "Lee");
    bot.simulator.say(Say { sender: Person::staff("kim", "Kim"), ..both("dingsales") });
    bot.ask(Say { sender: lee.clone(), ..both(CLIENT_ID) }, "/help").await;
    bot.simulator.say(Say { sender: lee, ..both("dingsales").with_msg_id("msgDenied==") });
    bot.logged(&["the sender is not in allowed_users", "sales", "lee"]).await;
    let answered = |what: &Happening| match what {
        Happening::Replied(reply) if &*reply.client_id == "dingsales" => Some(reply.text()),
        _ => None,
    };
    let text = bot.simulator.wait_for(since, PATIENCE, answered).await.unwrap();
    assert!(
        text.contains("Lists things") && !text.contains("Repeats things"),
        "only the plugins of this app are listed: {text}"
    );
}

#[tokio::test]
async fn secrets_stay_out_of_the_log() {
    let mut bot = Setup::echo().await.start().await;
    let session = |what: &Happening| match what {
        Happening::Replied(reply) => Some(reply.clone()),
        _ => None,
    };
    bot.ask(private("hello"), "hello").await;
    bot.simulator.wait_for(0, PATIENCE, session).await.unwrap();
    bot.simulator.push(Push::callback("/v1.0/not/known", serde_json::json!({})).unsubscribed());
    bot.terminate().await;
    let log = bot.log();
    assert!(log.contains("connected to DingTalk"), "{log}");
    for secret in [SECRET, "session=", "ticket="] {
        assert!(!log.contains(secret), "{secret} in the log:\n{log}");
    }
}
