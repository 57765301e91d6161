use proptest::prelude::*;

use super::super::MAX_BODY_BYTES;
use super::*;
use crate::{Buttons, CardButton, FeedLink};

fn texts(parts: &[OutMessage]) -> Vec<String> {
    let text = |part: &OutMessage| match part {
        OutMessage::Text { content, .. } => content.clone(),
        OutMessage::Markdown { text, .. } => text.clone(),
        OutMessage::ActionCard(card) => card.text.clone(),
        other => panic!("{other:?}"),
    };
    parts.iter().map(text).collect()
}

fn assert_all_fit(parts: &[OutMessage]) {
    let uuid = "u".repeat(100);
    for part in parts {
        let len = part.to_body(Some(&uuid)).len();
        assert!(len <= MAX_BODY_BYTES, "a body has {len} bytes");
    }
}

fn solid(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[test]
fn what_fits_is_left_alone() {
    let message = OutMessage::text(" \n```\nunclosed ");
    assert_eq!(message.clone().split(), [message]);
    assert_eq!(OutMessage::Empty.split(), [OutMessage::Empty]);
}

#[test]
fn paragraphs_are_preferred_to_lines_and_lines_to_words() {
    let paragraph = format!("{}\n{}", "word ".repeat(600).trim_end(), "line ".repeat(600).trim_end());
    let text = vec![paragraph.clone(); 7].join("\n\n");
    let parts = texts(&OutMessage::text(text.clone()).split());
    assert_eq!(parts.join("\n\n"), text);
    assert!(parts.len() >= 3 && parts.iter().all(|part| part.ends_with("line")));

    let text = vec!["a line of words".to_owned(); 3_000].join("\n");
    let parts = texts(&OutMessage::text(text.clone()).split());
    assert_eq!(parts.join("\n"), text);

    let text = "word ".repeat(9_000).trim_end().to_owned();
    let parts = texts(&OutMessage::text(text.clone()).split());
    assert_eq!(parts.join(" "), text);
    assert!(parts.iter().all(|part| part.ends_with("word")));
}

#[test]
fn no_character_is_cut_not_even_a_composed_one() {
    let family = "👨‍👩‍👧‍👦";
    let message = OutMessage::text(family.repeat(3_000)).split();
    assert_all_fit(&message);
    let parts = texts(&message);
    assert!(parts.len() > 1 && parts.iter().all(|part| part.len() % family.len() == 0));
    // One cluster that is longer than a message is cut between its code points after all.
    let zalgo = format!("a{}", "\u{301}".repeat(30_000));
    let parts = OutMessage::text(zalgo.clone()).split();
    assert_all_fit(&parts);
    assert_eq!(texts(&parts).concat(), zalgo);
}

#[test]
fn a_fence_is_closed_and_opened_again_with_its_info_string() {
    let code: String = (0..2_000).map(|n| format!("    let line_{n} = {n};\n")).collect();
    let text = format!("Look:\n\n```rust ignore\n{code}```\n\nDone.");
    let message = OutMessage::markdown("Code", text).split();
    assert_all_fit(&message);
    let parts = texts(&message);
    assert!(parts.len() > 2);
    for (index, part) in parts.iter().enumerate() {
        assert_eq!(part.lines().filter(|line| line.starts_with("```")).count() % 2, 0, "part {index}");
        assert!(matches!(&message[index], OutMessage::Markdown { title, .. } if title == "Code"));
    }
    assert!(parts[1].starts_with("```rust ignore\n    let line_"));
    let lines: Vec<&str> =
        parts.iter().flat_map(|part| part.lines()).filter(|line| line.contains("let ")).collect();
    assert_eq!(lines.join("\n") + "\n", code);
}

#[test]
fn a_short_fence_is_not_cut_where_it_can_move_whole() {
    let filler = vec!["filler text"; 1_400].join("\n");
    let fence = format!("~~~text\n{}\n~~~", vec!["code"; 800].join("\n"));
    let parts = texts(&OutMessage::markdown("t", format!("{filler}\n\n{fence}\n\nend")).split());
    assert_eq!(parts.len(), 2);
    assert!(parts[1].starts_with("~~~text\ncode") && parts[1].ends_with("end"));
}

#[test]
fn a_mention_stays_with_the_part_that_names_it() {
    let at = At { user_ids: vec!["u1".into(), "u2".into(), "u3".into()], all: true, ..At::default() };
    let content = format!("@u1 {} @u2", "word ".repeat(6_000));
    let parts = OutMessage::Text { content, at }.split();
    assert_all_fit(&parts);
    let at: Vec<(Vec<String>, bool)> = parts
        .iter()
        .map(|part| match part {
            OutMessage::Text { at, .. } => (at.user_ids.clone(), at.all),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(at, [(vec!["u1".into()], true), (vec!["u2".into(), "u3".into()], false)]);
    assert!(texts(&parts)[1].ends_with("@u2 @u3"));
}

#[test]
fn cards_links_and_feeds() {
    let button = CardButton { title: "Go".into(), url: "https://x".into() };
    let card = ActionCard {
        title: "T".into(),
        text: "word ".repeat(9_000),
        buttons: Buttons::Multi(vec![button]),
        horizontal: false,
        hide_avatar: false,
    };
    let parts = OutMessage::ActionCard(card.clone()).split();
    assert_all_fit(&parts);
    assert!(matches!(parts.first(), Some(OutMessage::Markdown { title, .. }) if title == "T"));
    assert!(matches!(parts.last(), Some(OutMessage::ActionCard(last)) if last.buttons == card.buttons));
    assert_eq!(solid(&texts(&parts).concat()), solid(&card.text));

    let link = OutMessage::Link {
        title: "T".into(),
        text: "\"钉\"".repeat(9_000),
        message_url: "https://x".into(),
        pic_url: None,
    };
    let parts = link.split();
    assert_all_fit(&parts);
    assert!(matches!(&parts[..], [OutMessage::Link { text, .. }] if text.ends_with('…')));

    let links: Vec<FeedLink> = (0..300)
        .map(|n| FeedLink {
            title: format!("{n}"),
            message_url: "https://x/".repeat(10),
            pic_url: "https://y".into(),
        })
        .collect();
    let parts = OutMessage::FeedCard { links: links.clone() }.split();
    assert_all_fit(&parts);
    let again: Vec<FeedLink> = parts
        .into_iter()
        .flat_map(|part| match part {
            OutMessage::FeedCard { links } => links,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(again, links);
}

#[test]
fn what_cannot_fit_comes_back_whole() {
    let message = OutMessage::markdown("t".repeat(30_000), "x");
    assert_eq!(message.clone().split(), [message]);
}

/// Texts that look like messages: prose, code, quotes, emoji, control characters, fences open and closed.
fn long_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z \"\\\\]{1,400}",
        "\\PC{1,200}",
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("\n```rust\n".to_owned()),
        Just("\n```\n".to_owned()),
        Just("\n~~~~ x\n".to_owned()),
        Just("\u{1}".repeat(50)),
        Just("👨‍👩‍👧‍👦".repeat(40)),
        Just("x".repeat(3_000)),
    ];
    proptest::collection::vec(piece, 1..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_part_fits_and_nothing_is_lost(text in long_text()) {
        let parts = OutMessage::markdown("Title", text.clone()).split();
        assert_all_fit(&parts);
        // Without the fence lines, which are repeated, everything but white space is there once and in order.
        let bare = |text: &str| -> String {
            let plain = text.lines().filter(|line| Fence::opened_by(line).is_none());
            plain.map(solid).collect()
        };
        prop_assert_eq!(texts(&parts).iter().map(|part| bare(part)).collect::<String>(), bare(&text));
    }

    #[test]
    fn no_part_but_the_last_leaves_a_fence_open(text in long_text()) {
        let parts = texts(&OutMessage::markdown("Title", text).split());
        if let Some((_, before)) = parts.split_last() {
            for part in before {
                prop_assert_eq!(fence_after(part, None), None);
            }
        }
    }
}

#[test]
fn of_too_many_mentions_only_the_first_count_in_all_parts_together() {
    let user_ids: Vec<String> = (0..200).map(|id| format!("u{id:03}")).collect();
    let named: String = user_ids.iter().map(|id| format!("@{id} {}\n", "word ".repeat(100))).collect();
    let at = At { user_ids: user_ids.clone(), ..At::default() };
    let parts = OutMessage::Text { content: named, at }.split();
    assert_all_fit(&parts);
    let mentioned = parts.iter().flat_map(|part| match part {
        OutMessage::Text { at, .. } => at.user_ids.clone(),
        other => panic!("{other:?}"),
    });
    assert_eq!(mentioned.collect::<Vec<_>>(), user_ids[..50]);
}
