//! What a service answered, as replies.

use belfry_plugin::fetch::Response;
use belfry_plugin::prelude::*;
use serde::Deserialize;

/// The most replies of one answer.
const MOST: usize = 10;

/// The JSON of an answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// Not mine: the next plugin is asked.
    #[serde(default)]
    pass: bool,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    markdown: Option<String>,
    #[serde(default)]
    title: Option<String>,
    /// Staff ids to mention.
    #[serde(default)]
    mention: Vec<String>,
    /// Several replies, each as an answer of its own.
    #[serde(default)]
    replies: Vec<Answer>,
}

/// Reads a response with a good status: JSON, or plain text or markdown as its content type says. No content: silence.
pub(crate) fn read(response: &Response) -> Result<Outcome, Failure> {
    if response.status == 204 || response.body.is_empty() {
        return Ok(Outcome::silent());
    }
    let kind = response.header("content-type").unwrap_or("application/json").to_ascii_lowercase();
    if kind.starts_with("text/markdown") {
        return Ok(markdown(response.text()).into());
    }
    if kind.starts_with("text/plain") {
        return Ok(text(response.text()).into());
    }
    let answer: Answer = response.json().map_err(|failure| {
        Failure::permanent(format!(
            "{failure}; answer {{\"text\": \"…\"}}, {{\"markdown\": \"…\"}} or {{\"pass\": true}}"
        ))
    })?;
    if answer.pass {
        return Ok(Outcome::Pass);
    }
    let mut replies: Vec<Reply> = Vec::new();
    replies.extend(reply(&answer));
    replies.extend(answer.replies.iter().filter_map(reply));
    if replies.len() > MOST {
        return Err(Failure::permanent(format!(
            "the answer has {} replies; {MOST} are the most",
            replies.len()
        )));
    }
    Ok(replies.into())
}

fn reply(answer: &Answer) -> Option<Reply> {
    let reply = match (&answer.text, &answer.markdown) {
        (Some(said), _) => text(said),
        (None, Some(said)) => markdown(said).titled(answer.title.as_deref().unwrap_or_default()),
        (None, None) => return None,
    };
    Some(answer.mention.iter().fold(reply, |reply, id| reply.mention(id)))
}

#[cfg(test)]
mod tests {
    use belfry_plugin::testing::response;

    use super::*;

    fn texts(status: u16, kind: &str, body: &str) -> Vec<String> {
        let mut response = response(status, body);
        response.headers.push(("content-type".into(), kind.into()));
        match read(&response) {
            Ok(Outcome::Pass) => vec!["(pass)".to_owned()],
            Ok(outcome) => outcome.texts().into_iter().map(str::to_owned).collect(),
            Err(failure) => vec![format!("failed: {failure}")],
        }
    }

    #[test]
    fn answers_come_in_several_forms() {
        let json = "application/json; charset=utf-8";
        assert_eq!(texts(200, json, r#"{"text":"hi"}"#), ["hi"]);
        assert_eq!(texts(200, json, r#"{"replies":[{"text":"a"},{"markdown":"b"}]}"#), ["a", "b"]);
        assert_eq!(texts(200, json, r#"{"pass":true}"#), ["(pass)"]);
        assert_eq!(texts(200, "text/plain", "plain"), ["plain"]);
        assert_eq!(texts(200, "Text/Markdown", "**m**"), ["**m**"]);
        assert_eq!(texts(204, json, ""), Vec::<String>::new());
        assert!(texts(200, json, r#"{"txt":"a"}"#)[0].contains("unknown field `txt`"));
        assert!(texts(200, "text/html", "<p>").concat().contains("not as expected"));
    }
}
