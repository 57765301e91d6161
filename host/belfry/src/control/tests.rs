//! Questions and answers: over a journal in memory, over a socket, and over what is no question.

use std::{path::Path, sync::Arc};

use belfry_event::{CloudEvent, Data};
use belfry_journal::{
    Appended, Completion, Culprit, DeadLetter, DurableJournal, DurableSettings, Journal, MemoryJournal,
    NOTICE, NewEvent, Position, Record,
};
use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

use super::{
    protocol::*,
    socket::{self, ControlError},
    *,
};
use crate::config::{self, Config};

/// In the payload's place for what only the host may know.
const SECRET: &str = "https://oapi.dingtalk.com/robot/sendBySession?session=hunter2";

fn config() -> Config {
    let env = |_: &str| Some("x".to_owned());
    config::parse(Path::new("/srv/belfry.toml"), config::MINIMAL, &env).unwrap().config
}

fn desk(journal: &Arc<dyn Journal>) -> Desk {
    Desk::of_journal(journal.clone(), &config())
}

fn message(app: &str, conversation: &str, id: &str, text: &str) -> NewEvent {
    let data = serde_json::json!({
        "conversationId": conversation, "conversationType": "1", "msgId": id, "senderId": "$:1",
        "senderNick": "Kim", "senderStaffId": "kim1", "msgtype": "text", "text": { "content": text },
    });
    let mut event = CloudEvent::new(id, format!("/dingtalk/{app}"), "dingtalk.message.received.v1");
    event.data = Data::json(data.to_string()).ok();
    NewEvent {
        key: format!("ding{app}/{conversation}"),
        dedupe: vec![id.to_owned()],
        payload: event.to_json().into(),
        private: Bytes::from_static(SECRET.as_bytes()),
    }
}

async fn append(journal: &dyn Journal, event: NewEvent) -> Position {
    match journal.append(event).await.unwrap() {
        Appended::New(position) => position,
        Appended::Duplicate => panic!("it is new"),
    }
}

fn dead(event: Position, delivery: Option<u32>, plugin: Option<&str>) -> Record {
    Record::Dead {
        letter: DeadLetter { event, delivery, reason: "it trapped".into(), attempts: 3 },
        culprit: plugin.map(|plugin| Culprit { plugin: plugin.into(), generation: 2 }),
        notice: delivery.is_none().then(|| Bytes::from_static(b"{\"msgtype\":\"text\"}")),
    }
}

/// Five messages: pending, being answered, done, given up, and with a reply given up.
async fn filled() -> (Arc<dyn Journal>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let journal = DurableJournal::open(folder.path(), DurableSettings::default()).unwrap();
    let mut positions = Vec::new();
    for (number, (app, conversation)) in [
        ("default", "cidA=="),
        ("default", "cidB/+="),
        ("sales", "cidA=="),
        ("sales", "cidC"),
        ("sales", "cidD"),
    ]
    .into_iter()
    .enumerate()
    {
        let event = message(app, conversation, &format!("msg{number}"), &format!("text {number}\u{1b}"));
        positions.push(append(&journal, event).await);
    }
    let replies = |event, count: usize| {
        let body = Bytes::from_static(b"{\"msgtype\":\"text\",\n\"text\":{\"content\":\"hi\"}}");
        Record::Done(Completion::new(event, vec![body; count]))
    };
    for record in [
        replies(positions[1], 2),
        replies(positions[2], 0),
        dead(positions[3], None, Some("todo")),
        replies(positions[4], 1),
        dead(positions[4], Some(0), None),
    ] {
        journal.record(record).unwrap();
    }
    (Arc::new(journal), folder)
}

async fn events(desk: &Desk, query: EventQuery) -> Vec<EventHead> {
    match desk.answer(Ask::Events(query)).await {
        Answer::Events(page) => page.events,
        other => panic!("{other:?}"),
    }
}

async fn changed(desk: &Desk, ask: Ask) -> Vec<Change> {
    match desk.answer(ask).await {
        Answer::Changed(changes) => changes,
        other => panic!("{other:?}"),
    }
}

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

fn letter_ids(page: &DeadLetterPage) -> Vec<String> {
    page.letters.iter().map(|letter| letter.id.to_string()).collect()
}

async fn letters(desk: &Desk, query: DeadLetterQuery) -> DeadLetterPage {
    match desk.answer(Ask::DeadLetters(query)).await {
        Answer::DeadLetters(page) => page,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn events_are_listed_by_what_became_of_them() {
    let (journal, _folder) = filled().await;
    let desk = desk(&journal);
    let all = events(&desk, EventQuery { limit: 100, ..EventQuery::default() }).await;
    let states: Vec<State> = all.iter().map(|event| event.state).collect();
    // The notice of the message that was given up is on its way, so that one is being answered.
    assert_eq!(states.len(), 5);
    assert_eq!(
        [states[0], states[2], states[3], states[4]],
        [State::Dead, State::Done, State::Delivering, State::Pending]
    );
    assert_eq!(all[3].pending_replies, 2);
    let message = &all[3].message;
    assert_eq!((message.app.as_str(), message.conversation.as_str()), ("default", "cidB/+="));
    assert_eq!((message.sender.as_str(), message.staff_id.as_deref()), ("Kim", Some("kim1")));
    assert!(message.text.starts_with("text 1"));

    let query = |app: &str, conversation: &str| EventQuery {
        app: (!app.is_empty()).then(|| app.to_owned()),
        conversation: (!conversation.is_empty()).then(|| conversation.to_owned()),
        limit: 100,
        ..EventQuery::default()
    };
    for (app, conversation, found) in
        [("default", "", 2), ("", "cidA==", 2), ("sales", "cidA==", 1), ("hr", "", 0)]
    {
        assert_eq!(events(&desk, query(app, conversation)).await.len(), found, "{app} {conversation}");
    }
    let pending = EventQuery { state: Some(State::Pending), limit: 100, ..EventQuery::default() };
    assert_eq!(events(&desk, pending).await.len(), 1);
}

#[tokio::test]
async fn a_search_for_something_rare_goes_on_where_it_stopped() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    let first = append(&*journal, message("default", "rare", "m", "x")).await;
    for number in 0..2_500 {
        append(&*journal, message("default", "common", &format!("m{number}"), "x")).await;
    }
    let desk = desk(&journal);
    let mut query = EventQuery { conversation: Some("rare".into()), limit: 10, ..EventQuery::default() };
    let mut found = Vec::new();
    let mut questions = 0;
    loop {
        let Answer::Events(page) = desk.answer(Ask::Events(query.clone())).await else { panic!() };
        questions += 1;
        found.extend(page.events);
        query.before = page.next;
        if query.before.is_none() {
            break;
        }
    }
    assert_eq!(found.iter().map(|event| event.id).collect::<Vec<_>>(), [Id::event(first)]);
    assert!(questions > 1, "no answer looks at everything");
}

#[tokio::test]
async fn an_event_is_shown_with_its_replies_and_without_the_webhook() {
    let (journal, _folder) = filled().await;
    let desk = desk(&journal);
    for number in 1..=5 {
        let Answer::Event(Some(event)) = desk.answer(Ask::Event(id(&number.to_string()))).await else {
            panic!()
        };
        let line = serde_json::to_string(&Answer::Event(Some(event))).unwrap();
        assert!(!line.contains("hunter2") && !line.contains('\n'), "{line}");
        // What goes over the socket comes out as it was.
        let Answer::Event(Some(event)) = serde_json::from_str(&line).unwrap() else { panic!() };
        assert!(event.replies.len() >= event.head.pending_replies, "a notice comes on top");
    }
    assert!(matches!(desk.answer(Ask::Event(id("99"))).await, Answer::Event(None)));
}

#[tokio::test]
async fn dead_letters_are_filtered_paged_tried_again_and_forgotten() {
    let (journal, _folder) = filled().await;
    let desk = desk(&journal);
    let all = letters(&desk, DeadLetterQuery::default()).await;
    assert_eq!(letter_ids(&all), ["4", "5.0"]);
    let todo = DeadLetterQuery { plugin: Some("todo".into()), ..DeadLetterQuery::default() };
    assert_eq!(letter_ids(&letters(&desk, todo).await), ["4"]);
    let future = DeadLetterQuery { since_ms: Some(u64::MAX), ..DeadLetterQuery::default() };
    assert!(letters(&desk, future).await.letters.is_empty());
    let past = DeadLetterQuery { before_ms: Some(1), ..DeadLetterQuery::default() };
    assert!(letters(&desk, past).await.letters.is_empty());

    let Answer::DeadLetter(Some(letter)) = desk.answer(Ask::DeadLetter(id("5.0"))).await else { panic!() };
    assert!(letter.reply.is_some() && letter.message.app == "sales");
    assert!(!serde_json::to_string(&letter).unwrap().contains("hunter2"));

    let changes = changed(&desk, Ask::Retry(vec![id("4"), id("17"), id("5.1"), id("5.0")])).await;
    let done: Vec<bool> = changes.iter().map(|change| change.done).collect();
    assert_eq!(done, [true, false, false, true], "{changes:?}");
    assert!(changes[0].note.contains("`todo` is not there any more"), "{changes:?}");
    assert_eq!(changes[1].note, "there is no such dead letter");
    assert!(letters(&desk, DeadLetterQuery::default()).await.letters.is_empty());
    assert!(journal.pending_event(Position(4)).await.unwrap().is_some());

    journal.record(dead(Position(1), None, None)).unwrap();
    assert!(changed(&desk, Ask::Drop(vec![id("1")])).await[0].done);
    assert!(!changed(&desk, Ask::Drop(vec![id("1")])).await[0].done);
    assert!(matches!(desk.answer(Ask::Drop(vec![id("1"); MOST_IDS + 1])).await, Answer::Refused(_)));
}

#[tokio::test]
async fn dead_letters_come_in_pages() {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::default());
    for number in 0..250 {
        let event = append(&*journal, message("default", "c", &format!("m{number}"), "x")).await;
        journal.record(dead(event, None, None)).unwrap();
    }
    let desk = desk(&journal);
    let mut seen = Vec::new();
    let mut query = DeadLetterQuery::default();
    loop {
        let page = letters(&desk, query.clone()).await;
        assert!(page.letters.len() <= MOST_ENTRIES);
        seen.extend(letter_ids(&page));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 250);
}

struct Served {
    folder: TempDir,
    _server: Server,
}

impl Served {
    async fn new() -> Self {
        let (journal, folder) = filled().await;
        let server = Server::start(&folder.path().join("s"), Arc::new(desk(&journal))).await.unwrap();
        Self { folder, _server: server }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("s")
    }

    /// Sends these bytes and reads the answer.
    async fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = UnixStream::connect(self.path()).await.unwrap();
        // A server that has seen enough may close before all is written.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&answer).unwrap()
    }
}

#[tokio::test]
async fn a_socket_answers_as_the_desk_does_and_goes_with_the_host() {
    use std::os::unix::fs::PermissionsExt as _;
    let served = Served::new().await;
    let path = served.path();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let Answer::Status(status) = socket::ask(&path, Ask::Status).await.unwrap() else { panic!() };
    assert_eq!((status.journal.pending_events, status.journal.dead_letters), (1, 2));
    let Answer::Event(Some(_)) = socket::ask(&path, Ask::Event(id("2"))).await.unwrap() else { panic!() };

    let Served { folder, _server } = served;
    drop(_server);
    assert!(!path.exists());
    assert!(socket::ask(&path, Ask::Status).await.unwrap_err().is_nobody());
    drop(folder);
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let served = Served::new().await;
    let long = vec![b'x'; LONGEST_QUESTION * 3];
    let questions: [&[u8]; 6] = [
        b"",
        b"hello\n",
        b"{\"format\":1,\"ask\":\"status\"}",
        b"{\"format\":1,\"ask\":\"everything\"}\n",
        b"{\"format\":1,\"ask\":{\"retry\":[\"-1\"]}}\n",
        &long,
    ];
    for question in questions {
        let answer = served.send(question).await;
        assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
    }
    // The rest of a question of another version need not make sense.
    let Answer::Refused(reason) = served.send(b"{\"format\":2,\"ask\":\"everything\"}\n").await else {
        panic!()
    };
    assert!(reason.contains("ask it with the same version"), "{reason}");
    assert!(matches!(served.send(b"{\"format\":1,\"ask\":\"status\"}\n").await, Answer::Status(_)));
}

#[tokio::test]
async fn so_many_commands_are_served_at_once_and_the_others_after_them() {
    let served = Served::new().await;
    // A reader that has asked nothing yet has its turn.
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(UnixStream::connect(served.path()).await.unwrap());
    }
    let path = served.path();
    let mut ninth = tokio::spawn(async move { socket::ask(&path, Ask::Status).await });
    let unanswered = tokio::time::timeout(std::time::Duration::from_millis(50), &mut ninth).await;
    assert!(unanswered.is_err(), "eight have a turn");
    drop(waiting);
    assert!(matches!(ninth.await.unwrap(), Ok(Answer::Status(_))));
    // Who says nothing loses the turn.
    let _silent: Vec<UnixStream> =
        futures_util::future::join_all((0..8).map(|_| UnixStream::connect(served.path())))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
    assert!(matches!(socket::ask(&served.path(), Ask::Status).await, Ok(Answer::Status(_))));
}

#[tokio::test]
async fn only_a_socket_nobody_listens_at_is_replaced() {
    let (journal, folder) = filled().await;
    let path = folder.path().join("s");
    let desk = Arc::new(desk(&journal));
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a listener leaves its socket behind, as a killed process does");
    let server = Server::start(&path, desk.clone()).await.unwrap();
    assert!(matches!(Server::start(&path, desk.clone()).await, Err(ControlError::Taken { .. })));
    assert!(socket::ask(&path, Ask::Status).await.is_ok(), "the one that is there stays");
    drop(server);

    std::fs::write(&path, "notes").unwrap();
    assert!(matches!(Server::start(&path, desk.clone()).await, Err(ControlError::Taken { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");

    let long = folder.path().join("x".repeat(200));
    let Err(error) = Server::start(&long, desk).await else { panic!() };
    assert!(error.to_string().contains("`control_socket` in [host]"), "{error}");
}

#[tokio::test]
async fn without_a_host_the_files_are_read_and_never_begun() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.journal = config::Journal::on_disk(folder.path().join("kept"));
    config.control_socket = Some(folder.path().join("kept/control.sock"));
    let Err(error) = Access::open(&config).await else { panic!("there is none") };
    assert!(error.to_string().contains("`belfry run` begins it"), "{error:#}");
    assert!(!folder.path().join("kept").exists());

    let journal = crate::wiring::open_durable(&config).unwrap();
    append(&*journal, message("default", "c", "m", "hello")).await;
    // Another process has it, and nobody answers for it.
    let Err(error) = Access::open(&config).await else { panic!("it is taken") };
    assert!(format!("{error:#}").contains(&std::process::id().to_string()), "{error:#}");
    drop(journal);

    let access = Access::open(&config).await.unwrap();
    let status = access.status().await.unwrap();
    assert!(status.host.is_none() && status.journal.pending_events == 1);

    config.journal = config::Journal::in_memory();
    config.control_socket = None;
    let Err(error) = Access::open(&config).await else { panic!("nothing to find") };
    assert!(error.to_string().contains("control_socket"), "{error:#}");
}

#[test]
fn ids_read_as_they_are_written() {
    for text in ["0", "17", "17.0", "17.42", "18446744073709551615.notice"] {
        assert_eq!(id(text).to_string(), text);
    }
    assert_eq!(id("3.notice").delivery, Some(NOTICE));
    for wrong in [
        "",
        ".",
        "x",
        "-1",
        "+1",
        "1.",
        ".1",
        "1.x",
        "1.-1",
        "1.4294967295",
        "1.0.0",
        "18446744073709551616",
        "１",
    ] {
        assert!(wrong.parse::<Id>().is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn every_id_comes_back(event: u64, delivery: Option<u32>) {
        let written = Id { event, delivery };
        prop_assert_eq!(written.to_string().parse(), Ok(written));
    }

    #[test]
    fn no_text_is_too_strange_for_an_id(text in ".*") {
        let _ = text.parse::<Id>();
    }
}
