//! What people answered, one key-value for each answer: `DAY/SENDER`.

use belfry_plugin::kv::{self, Bucket};
use belfry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::day::Day;

const BUCKET: &str = "answers";

/// Where the days whose summary was posted are kept.
const POSTED: &str = "posted";

/// The longest answer, in characters.
pub(crate) const LONGEST: usize = 2_000;

/// The most answers of one day.
pub(crate) const MOST: usize = 200;

/// One person's answer of one day.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The name shown in the chat when it was given.
    pub(crate) nick: String,
    #[serde(default)]
    pub(crate) staff_id: Option<String>,
    pub(crate) text: String,
    /// When it was given, in milliseconds since 1970.
    pub(crate) at: u64,
}

/// What became of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    New,
    /// It stands in place of what the same person said before.
    Replaced,
    TooLong,
    /// The day has as many answers as it can.
    Full,
}

fn key(day: Day, sender: &str) -> String {
    format!("{}/{sender}", day.show())
}

/// Notes an answer.
pub(crate) fn note(day: Day, sender: &str, answer: &Answer) -> Result<Taken, Failure> {
    if answer.text.chars().count() > LONGEST {
        return Ok(Taken::TooLong);
    }
    let (bucket, key) = (kv::bucket(BUCKET)?, key(day, sender));
    let before = bucket.exists(&key)?;
    if !before && bucket.keys(&format!("{}/", day.show()))?.len() >= MOST {
        return Ok(Taken::Full);
    }
    bucket.set_json(&key, answer)?;
    Ok(if before { Taken::Replaced } else { Taken::New })
}

/// The answer that somebody gave on a day.
pub(crate) fn by(day: Day, sender: &str) -> Result<Option<Answer>, Failure> {
    kv::bucket(BUCKET)?.get_json(&key(day, sender))
}

/// The answers of a day, in the order in which they were given.
pub(crate) fn of(day: Day) -> Result<Vec<Answer>, Failure> {
    let bucket = kv::bucket(BUCKET)?;
    let mut answers = Vec::new();
    for key in bucket.keys(&format!("{}/", day.show()))? {
        answers.extend(bucket.get_json::<Answer>(&key)?);
    }
    answers.sort_by(|a, b| (a.at, &a.nick).cmp(&(b.at, &b.nick)));
    Ok(answers)
}

/// Whether the summary of a day was posted.
pub(crate) fn posted(day: Day) -> Result<bool, Failure> {
    Ok(kv::bucket(POSTED)?.exists(&day.show())?)
}

/// Notes that the summary of a day was posted.
pub(crate) fn set_posted(day: Day) -> Result<(), Failure> {
    Ok(kv::bucket(POSTED)?.set(&day.show(), "")?)
}

/// Deletes what is older than `keep` days, today among them.
pub(crate) fn delete_old(today: Day, keep: i64) -> Result<(), Failure> {
    let old = |key: &str| {
        let day = key.split('/').next().and_then(Day::read);
        day.is_some_and(|day| day.before(today) >= keep)
    };
    let delete = |bucket: &Bucket| -> Result<(), Failure> {
        for key in bucket.keys("")?.iter().filter(|key| old(key)) {
            bucket.delete(key)?;
        }
        Ok(())
    };
    delete(&kv::bucket(BUCKET)?)?;
    delete(&kv::bucket(POSTED)?)
}
