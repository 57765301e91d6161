//! Asks a group its daily questions, collects the answers and posts a summary.

mod answers;
mod day;
mod settings;
#[cfg(test)]
mod tests;
mod words;

use belfry_plugin::prelude::*;

use answers::{Answer, Taken};
use day::Day;
use settings::Settings;

struct Standup;

belfry_plugin::export!(Standup: MessageHandler, EventHandler, Describe);

impl Describe for Standup {
    fn describe() -> Info {
        belfry_plugin::describe!("/standup" => "`/standup TEXT` answers today's questions, `/standup` shows who has answered")
    }
}

impl MessageHandler for Standup {
    fn on_message(message: Message) -> Result<Outcome, Failure> {
        let Some(said) = message.command("/standup") else { return Ok(Outcome::Pass) };
        let settings = Settings::read()?;
        let words = settings.words;
        if !settings.may_answer(message.sender.staff_id.as_deref()) {
            return Ok(text(words.no_member).into());
        }
        let day = Day::at(message.sent_at, settings.offset);
        if said.is_empty() {
            return Ok(markdown(state(day, &message, &settings)?).titled(words.title).into());
        }
        let answer = Answer {
            nick: message.sender.nick.clone(),
            staff_id: message.sender.staff_id.clone(),
            text: said,
            at: message.sent_at,
        };
        let taken = answers::note(day, &message.sender.id, &answer)?;
        // What is said in the group itself, everybody has read there.
        let in_place = message.conversation.id == settings.group;
        let late = matches!(taken, Taken::New | Taken::Replaced) && !in_place && answers::posted(day)?;
        if late {
            let page = words.late(&day.show(), &name(&answer, &settings), &answer.text);
            let group = Target::group(&settings.group);
            chat::send(&group, markdown(page).titled(words.title))?;
        }
        Ok(text(words.taken(&taken, late)).into())
    }
}

impl EventHandler for Standup {
    fn on_event(event: Event) -> Result<Vec<Effect>, Failure> {
        let Some(name) = event.tick() else {
            return Err(Failure::Permanent(format!(
                "`{}` is no tick of a schedule: take `on` out of the plugin's table",
                event.type_
            )));
        };
        let settings = Settings::read()?;
        let Some(time) = event.time else {
            return Err(Failure::permanent("the tick does not say when it was due"));
        };
        let day = Day::at(time, settings.offset);
        match name {
            "ask" => ask(day, &settings),
            "remind" => remind(day, &settings),
            "summary" => summary(day, &settings),
            other => Err(Failure::Permanent(format!(
                "there is no schedule `{other}`: name them `ask`, `remind` and `summary` in the plugin's table"
            ))),
        }
    }
}

fn ask(day: Day, settings: &Settings) -> Result<Vec<Effect>, Failure> {
    answers::delete_old(day, settings.keep)?;
    let page = settings.words.ask(&day.show(), &settings.questions);
    Ok(vec![to_group(page, settings)])
}

/// Writes to each member who has not answered.
fn remind(day: Day, settings: &Settings) -> Result<Vec<Effect>, Failure> {
    let answers = answers::of(day)?;
    let page = settings.words.remind(&settings.questions);
    let missing = settings.members.iter().filter(|member| !has_answered(&answers, &member.staff_id));
    let ask = |staff_id: &str| {
        Effect::send(Target::user(staff_id), markdown(page.clone()).titled(settings.words.title))
    };
    Ok(missing.map(|member| ask(&member.staff_id)).collect())
}

fn summary(day: Day, settings: &Settings) -> Result<Vec<Effect>, Failure> {
    answers::delete_old(day, settings.keep)?;
    answers::set_posted(day)?;
    let answers = answers::of(day)?;
    let missing = missing(&answers, settings);
    let named: Vec<(String, Answer)> =
        answers.iter().map(|answer| (name(answer, settings), answer.clone())).collect();
    let page = settings.words.summary(&day.show(), &named, &missing);
    Ok(vec![to_group(page, settings)])
}

fn state(day: Day, message: &Message, settings: &Settings) -> Result<String, Failure> {
    let answers = answers::of(day)?;
    let names: Vec<String> = answers.iter().map(|answer| name(answer, settings)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let own = answers::by(day, &message.sender.id)?;
    // In a group only who has answered, not what.
    let own = own.filter(|_| !message.in_group());
    Ok(settings.words.state(&day.show(), &names, &missing(&answers, settings), own.as_ref()))
}

fn to_group(page: String, settings: &Settings) -> Effect {
    Effect::send(Target::group(&settings.group), markdown(page).titled(settings.words.title))
}

fn has_answered(answers: &[Answer], staff_id: &str) -> bool {
    answers.iter().any(|answer| answer.staff_id.as_deref() == Some(staff_id))
}

/// The members who have not answered, by name.
fn missing<'a>(answers: &[Answer], settings: &'a Settings) -> Vec<&'a str> {
    let missing = settings.members.iter().filter(|member| !has_answered(answers, &member.staff_id));
    missing.map(|member| member.name.as_str()).collect()
}

/// What the summary calls somebody: the config's name, or the one in the chat.
fn name(answer: &Answer, settings: &Settings) -> String {
    let mut members = settings.members.iter();
    let member = members.find(|member| Some(member.staff_id.as_str()) == answer.staff_id.as_deref());
    match member.filter(|member| member.name != member.staff_id) {
        Some(member) => member.name.clone(),
        None => answer.nick.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
