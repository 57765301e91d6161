//! Asks for approval with a card and keeps what was decided.

mod card;
mod request;
mod settings;
#[cfg(test)]
mod tests;
mod words;

use std::time::{SystemTime, UNIX_EPOCH};

use belfry_plugin::prelude::*;
use serde_json::Value;

use request::{Approval, Decision, LONGEST_TEXT, LONGEST_TITLE, MOST_OPEN};
use settings::Settings;

/// The longest comment, in characters.
const LONGEST_COMMENT: usize = 500;

/// How many of their own requests somebody is shown.
const SHOWN: usize = 20;

struct Approve;

belfry_plugin::export!(Approve: MessageHandler, ActionHandler, Describe);

impl Describe for Approve {
    fn describe() -> Info {
        belfry_plugin::describe!("/approve" => "`/approve TITLE: TEXT` asks for approval, `/approve list` shows what became of it")
    }
}

impl MessageHandler for Approve {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let Some(said) = message.command("/approve") else { return Ok(Outcome::Pass) };
        let settings = Settings::read()?;
        let words = settings.words;
        let Some(asks) = message.sender.staff_id.as_deref() else { return Ok(text(words.staff_only).into()) };
        match said.to_lowercase().as_str() {
            "list" | "列表" => return Ok(markdown(list(asks, &settings)?).titled(words.title).into()),
            "" | "help" | "?" | "帮助" => return Ok(markdown(words.help).titled(words.title).into()),
            _ => {}
        }
        let (title, text) = parts(&said);
        if title.is_empty() {
            return Ok(markdown(words.help).titled(words.title).into());
        }
        if title.chars().count() > LONGEST_TITLE || text.chars().count() > LONGEST_TEXT {
            return Ok(words.too_long().into());
        }
        let mentioned: Vec<&str> =
            message.mentions.iter().filter_map(|mention| mention.staff_id.as_deref()).collect();
        // An external person has no staff id: nobody else shall be asked in their place.
        let approvers = match mentioned.len() == message.mentions.len() {
            true => settings.approvers_of(&title, &mentioned, asks),
            false => Err(settings::Nobody::NotAnApprover),
        };
        let approvers = match approvers {
            Ok(approvers) => approvers,
            Err(nobody) => return Ok(words.nobody(&nobody).into()),
        };
        let oldest = message.sent_at.saturating_sub(settings.keep_days * 86_400_000);
        if request::clean(oldest, asks)? >= MOST_OPEN {
            return Ok(words.too_many().into());
        }
        let mut approval = Approval {
            title,
            text,
            asks: asks.to_owned(),
            nick: message.sender.nick.clone(),
            at: message.sent_at,
            ..Approval::default()
        };
        approval.cards = send_cards(&approval, &approvers, &settings)?;
        approval.store(&message.id)?;
        let names: Vec<String> = approval.cards.iter().map(|(id, _)| settings.name_of(id)).collect();
        Ok(words.sent(&approval.title, &names).into())
    }
}

/// Sends each approver a card. One who cannot get it is left out, as long as another can.
fn send_cards(
    approval: &Approval,
    approvers: &[String],
    settings: &Settings,
) -> Result<Vec<(String, String)>, Failure> {
    let mut cards = Vec::new();
    let mut refused = None;
    for approver in approvers {
        let data = card::whole(approval, settings);
        match cards::send(&Target::user(approver), &settings.template, data) {
            Ok(id) => cards.push((approver.clone(), id)),
            Err(error @ chat::Error::Unavailable(_)) => return Err(error.into()),
            Err(error) => {
                log::warn!("no card for `{approver}`: {}", error.reason());
                refused = Some(error);
            }
        }
    }
    match refused {
        Some(error) if cards.is_empty() => Err(error.into()),
        _ => Ok(cards),
    }
}

impl ActionHandler for Approve {
    fn on_action(request: Request) -> Result<Response, Failure> {
        if request.kind != "card" {
            return Err(Failure::Permanent(format!(
                "a request of kind `{}` is none of a card",
                request.kind
            )));
        }
        let params: Value = serde_json::from_str(&request.params).unwrap_or_default();
        // Anything else is a form that was cancelled, or a button that the template has for something else.
        let Some(approved) = approves(&request.actions, &params) else { return Ok(Response::None) };
        let settings = Settings::read()?;
        let words = settings.words;
        let Some(user) = request.user.as_deref() else {
            return Err(Failure::permanent("DingTalk does not say who pressed the button"));
        };
        let id = request::of_card(&request.subject)?;
        let known = match &id {
            Some(id) => request::get(id)?,
            None => None,
        };
        let (Some(id), Some(known)) = (id, known) else { return Ok(notice(Vec::new(), words.unknown)) };
        if !known.is_for(user) {
            return Ok(notice(Vec::new(), words.not_yours));
        }
        let decision = Decision { approved, by: user.to_owned(), at: now_ms(), comment: comment(&params) };
        let (approval, first) = request::decide(&id, &decision)?;
        let decided = approval.decision.as_ref().unwrap_or(&decision);
        let (status, by) = (words.decided(decided.approved), settings.name_of(&decided.by));
        let data = card::outcome(&approval, &settings);
        if !first {
            let already = words.already(status, &by, &settings.show_time(decided.at));
            return Ok(notice(data, &already));
        }
        tell(
            &approval,
            &request.subject,
            &words.result(&approval.title, status, &by, &decided.comment),
            &settings,
        );
        Ok(notice(data, ""))
    }
}

/// Tells the one who asked, and changes the cards of the other approvers. That something of it does not work takes no
/// decision back.
fn tell(approval: &Approval, pressed: &str, result: &str, settings: &Settings) {
    let message = markdown(result).titled(settings.words.title);
    if let Err(error) = chat::send(&Target::user(&approval.asks), message) {
        log::warn!("`{}` is not told of the decision: {}", approval.asks, error.reason());
    }
    for (approver, card) in approval.cards.iter().filter(|(_, card)| card != pressed) {
        if let Err(error) = cards::update(card, card::outcome(approval, settings)) {
            log::warn!("the card of `{approver}` stays as it is: {}", error.reason());
        }
    }
}

/// What everybody sees, and what is said to the one who pressed.
fn notice(data: Vec<(&'static str, String)>, words: &str) -> Response {
    Response::Card(CardUpdate::new(data).private([(card::NOTICE, words)]))
}

/// Whether the button approves or rejects; none if it is neither. Templates name the action by its id or by a parameter
/// `action`.
fn approves(actions: &[String], params: &Value) -> Option<bool> {
    if params.get("user_cancel").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    let named = params.get("action").and_then(Value::as_str);
    actions.iter().map(String::as_str).chain(named).find_map(|action| match action {
        "approve" => Some(true),
        "reject" => Some(false),
        _ => None,
    })
}

/// The comment, a parameter or a field of a form.
fn comment(params: &Value) -> String {
    let form = params.get("form").and_then(|form| form.get("comment"));
    let comment = params.get("comment").or(form).and_then(Value::as_str).unwrap_or_default();
    comment.trim().chars().take(LONGEST_COMMENT).collect()
}

/// Title and text: parted by the first colon of the first line, or by the line's end. Mentions in front are left out.
fn parts(said: &str) -> (String, String) {
    let mut said = said;
    while let Some(rest) = said.strip_prefix('@') {
        said = rest.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).trim_start();
    }
    let (first, more) = said.split_once('\n').unwrap_or((said, ""));
    let (title, text) = first.split_once([':', '：']).unwrap_or((first, ""));
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    (title, format!("{}\n{more}", text.trim()).trim().to_owned())
}

/// What waits for somebody, and what became of their own requests.
fn list(asks: &str, settings: &Settings) -> Result<String, Failure> {
    let words = settings.words;
    let all = request::all()?;
    let for_them = all.iter().filter(|approval| approval.decision.is_none() && approval.is_for(asks));
    let for_them: Vec<String> = for_them
        .map(|approval| {
            format!("- {} ({}, {})", approval.title, approval.nick, settings.show_time(approval.at))
        })
        .collect();
    let theirs = all.iter().rev().filter(|approval| approval.asks == asks).take(SHOWN);
    let theirs: Vec<String> = theirs
        .map(|approval| match &approval.decision {
            None => format!("- {}: {}", approval.title, words.waiting),
            Some(decision) => {
                let (status, by) = (words.decided(decision.approved), settings.name_of(&decision.by));
                format!("- {}: {status} ({by}, {})", approval.title, settings.show_time(decision.at))
            }
        })
        .collect();
    let part = |title: &str, lines: &[String]| {
        (!lines.is_empty()).then(|| format!("### {title}\n\n{}", lines.join("\n")))
    };
    let parts: Vec<String> =
        [part(words.for_you, &for_them), part(words.yours, &theirs)].into_iter().flatten().collect();
    Ok(if parts.is_empty() { words.nothing.to_owned() } else { parts.join("\n\n") })
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}
