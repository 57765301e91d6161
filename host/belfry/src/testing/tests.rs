use super::{expect, file};

fn refusal(text: &str) -> String {
    format!("{:#}", file::parse(text).unwrap_err())
}

#[test]
fn a_mistake_is_named_with_the_mend() {
    let hello = "[[turn]]\ngiven.message = \"hello\"\n";
    for (text, words) in [
        ("", "it has no turn; add one"),
        (
            "[[turn]]\ngiven = {}",
            "turn 1: `given` needs exactly one of `message`, `content`, `event` and `action`",
        ),
        (
            "[[turn]]\ngiven = { message = \"a\", later = \"soon\" }",
            "`later = \"soon\"`: expected a whole number",
        ),
        ("[[turn]]\ngiven = { massage = \"a\" }", "unknown field `massage`"),
        (&format!("clock = \"nine\"\n{hello}"), "`clock = \"nine\"` is no time; write one such as"),
        (
            &format!("{hello}expect.replies = [7]"),
            "turn 1: each of `expect.replies` must be a text, or a table",
        ),
        (&format!("{hello}expect.replies = [{{ like = \"x\" }}]"), "`like` is no way to expect a reply"),
        (
            &format!("{hello}expect.key_values = {{ a = true }}"),
            "`key_values.a` must be a text, or false for none",
        ),
        (&format!("[[http]]\nurl = \"api\"\n{hello}"), "http answer 1: `api` is no URL"),
        (&format!("[[http]]\nurl = \"http://a\"\nstatus = 7\n{hello}"), "http answer 1: 7 is no HTTP status"),
        (
            &format!("[[http]]\nurl = \"http://a\"\nbody = \"a\"\nerror = \"b\"\n{hello}"),
            "http answer 1: give one of `body`, `json` and `error`",
        ),
    ] {
        let refused = refusal(text);
        assert!(refused.contains(words), "{text}\n{refused}");
    }
    // TOML's own mistakes have a line.
    assert!(refusal("[[turn]]\ngiven.message = hello").contains("line 2"));
}

#[test]
fn a_difference_shows_both_sides() {
    let shown = expect::difference("replies", "one\ntwo", "one\nthree");
    assert_eq!(shown, "replies (- expected, + found):\n   one\n  -two\n  +three");
}
