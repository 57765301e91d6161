//! Lines for the simulated DingTalk, typed in the chat of `belfry dev` and into `belfry simulate`: events, and presses on
//! cards. And cards as a person reads them.

use belfry_simulator::{Card, CardData, CardSpace, Flow, Press, Push, Simulator};
use serde_json::{Map, Value};

/// What [`obey`] understands.
pub(crate) const HELP: &str = "  \
  :event TYPE [JSON]  an event of the organisation, such as user_add_org {\"userId\":[\"kim\"]}
  :press CARD ACTION [NAME=VALUE …]  press a button of a card; the beginning of its id will do, . is the newest card";

/// Obeys such a line in the name of `user`; what became of it in words. None: it is another line.
pub(crate) fn obey(simulator: &Simulator, line: &str, user: &str) -> Option<String> {
    let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim()));
    let done = match word {
        ":event" => event(simulator, rest),
        ":press" => press(simulator, rest, user),
        _ => return None,
    };
    Some(done.unwrap_or_else(|problem| problem))
}

fn event(simulator: &Simulator, line: &str) -> Result<String, String> {
    let (kind, data) = line.split_once(' ').unwrap_or((line, "{}"));
    if kind.is_empty() {
        return Err("an event has a type: :event user_add_org {\"userId\":[\"kim\"]}".to_owned());
    }
    let data: Value =
        serde_json::from_str(data).map_err(|error| format!("what follows {kind} is no JSON: {error}"))?;
    let pushed = simulator.push(Push::event(kind, data));
    Ok(format!("event {kind}, id {}", pushed.id))
}

fn press(simulator: &Simulator, line: &str, user: &str) -> Result<String, String> {
    let mut words = line.split_whitespace();
    let (Some(card), Some(action)) = (words.next(), words.next()) else {
        return Err("a press names a card and an action: :press . approve note=fine".to_owned());
    };
    let mut params = Map::new();
    for word in words {
        let (name, value) =
            word.split_once('=').ok_or_else(|| format!("{word} is no parameter: it takes NAME=VALUE"))?;
        params.insert(name.to_owned(), value.into());
    }
    let id = find(&simulator.cards(), card)?;
    simulator.press(Press::new(&id, action).params(Value::Object(params)).by(user))?;
    Ok(format!("{user} presses {action} on {id}"))
}

/// The id of the card that is meant.
fn find(cards: &[Card], named: &str) -> Result<String, String> {
    if named == "." {
        let newest = cards.last().ok_or("there is no card yet")?;
        return Ok(newest.out_track_id.to_string());
    }
    let mut fitting = cards.iter().filter(|card| card.out_track_id.starts_with(named));
    match (fitting.next(), fitting.next()) {
        (Some(card), None) => Ok(card.out_track_id.to_string()),
        (None, _) => Err(format!("there is no card {named}")),
        // One whose id is the beginning of another's.
        _ if cards.iter().any(|card| *card.out_track_id == *named) => Ok(named.to_owned()),
        _ => Err(format!("several cards begin with {named}: write more of the id")),
    }
}

/// A new card: its id, its template, where it is and its variables.
pub(crate) fn card(id: &str, template: &str, spaces: &[CardSpace], data: &CardData) -> String {
    let place = match spaces.first() {
        Some(CardSpace::Group { conversation }) => format!("in the group {conversation}"),
        Some(CardSpace::Person { staff_id }) => format!("for {staff_id}"),
        None => "which reaches nobody".to_owned(),
    };
    format!("[card {id}, {template}, {place}]{}", variables(data))
}

/// Variables, one a line.
pub(crate) fn variables(data: &CardData) -> String {
    data.iter().map(|(name, value)| format!("\n  {name}: {}", value.replace('\n', "\n    "))).collect()
}

/// What is new of a text that was shown up to `shown` bytes and is now `text`; `None` if it was changed, not continued.
pub(crate) fn growth<'a>(shown: &str, text: &'a str) -> Option<&'a str> {
    text.strip_prefix(shown)
}

/// How a streamed text ended.
pub(crate) fn ending(flow: Flow) -> Option<&'static str> {
    match flow {
        Flow::Processing | Flow::Inputting => None,
        Flow::Finished => Some("finished"),
        Flow::Failed => Some("failed"),
    }
}

#[cfg(test)]
mod tests {
    use belfry_simulator::SimulatorConfig;

    use super::*;

    #[tokio::test]
    async fn lines_are_obeyed_or_say_what_is_wrong() {
        let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
        let said = |line| obey(&simulator, line, "kim").unwrap();
        assert!(obey(&simulator, "hello", "kim").is_none());
        assert!(obey(&simulator, ":eventually", "kim").is_none());
        assert!(said(":event user_add_org {\"userId\":[\"kim\"]}").starts_with("event user_add_org, id "));
        assert!(said(":event user_add_org").starts_with("event user_add_org"));
        assert!(said(":event user_add_org {").contains("no JSON"));
        assert!(said(":event").contains(":event user_add_org"));
        assert!(said(":press").contains(":press . approve"));
        assert_eq!(said(":press . ok"), "there is no card yet");
        assert_eq!(said(":press c1 ok"), "there is no card c1");
        assert!(said(":press c1 ok x").contains("NAME=VALUE"));
        assert_eq!(simulator.stats().pushes, 2);
    }

    #[test]
    fn a_card_is_found_by_the_beginning_of_its_id() {
        let card = |id: &str| Card {
            client_id: "app".into(),
            out_track_id: id.into(),
            template: "t".into(),
            spaces: vec![],
            data: CardData::new(),
            private_data: Default::default(),
            flow: Flow::Processing,
            callbacks: true,
        };
        let cards = [card("ab"), card("abc"), card("x")];
        assert_eq!(find(&cards, ".").unwrap(), "x");
        assert_eq!(find(&cards, "abc").unwrap(), "abc");
        assert_eq!(find(&cards, "ab").unwrap(), "ab");
        assert!(find(&cards, "a").unwrap_err().contains("several"));
    }

    #[test]
    fn cards_are_shown_with_their_variables() {
        let data = CardData::from([("a".to_owned(), "1\n2".to_owned()), ("b".to_owned(), "3".to_owned())]);
        let space = CardSpace::Person { staff_id: "kim".to_owned() };
        assert_eq!(
            card("c1", "t.schema", &[space], &data),
            "[card c1, t.schema, for kim]\n  a: 1\n    2\n  b: 3"
        );
        assert_eq!(growth("# so", "# so far"), Some(" far"));
        assert_eq!(growth("# so", "anew"), None);
    }
}
