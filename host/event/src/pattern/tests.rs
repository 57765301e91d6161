use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn pattern(pattern: Value) -> Pattern {
    Pattern::parse(&pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn refusal(pattern: Value) -> String {
    Pattern::parse(&pattern).map(|_| ()).expect_err(&pattern.to_string()).to_string()
}

/// A member of `data` against one entry list: what matches, and what does not.
#[test]
fn each_operator_takes_what_it_says() {
    let table: Vec<(Value, Vec<Value>, Vec<Value>)> = vec![
        (
            json!(["a"]),
            vec![json!("a"), json!(["x", "a"])],
            vec![json!("A"), json!("ab"), json!(1), json!(null), json!([])],
        ),
        (json!(["a", 8]), vec![json!("a"), json!(8), json!(8.0)], vec![json!("8"), json!(9)]),
        (json!([300]), vec![json!(300), json!(3.0e2)], vec![json!("300"), json!(300.5)]),
        (
            json!([9_007_199_254_740_993u64]),
            vec![json!(9_007_199_254_740_993u64)],
            vec![json!(9_007_199_254_740_992u64)],
        ),
        (json!([true]), vec![json!(true)], vec![json!(false), json!("true"), json!(1)]),
        (json!([null]), vec![json!(null), json!([1, null])], vec![json!(""), json!(0), json!([])]),
        (json!([""]), vec![json!("")], vec![json!(" "), json!(null)]),
        (
            json!([{"prefix": "acs."}]),
            vec![json!("acs.oss"), json!("acs.")],
            vec![json!("acs"), json!(1), json!(null)],
        ),
        (json!([{"suffix": ".jpg"}]), vec![json!("a.jpg")], vec![json!("a.JPG"), json!(".jpg ")]),
        (json!([{"contains": "Normal"}]), vec![json!("isNormal!")], vec![json!("normal")]),
        (json!([{"equals-ignore-case": "Kim Ä"}]), vec![json!("KIM ä")], vec![json!("kim"), json!("KIM ä ")]),
        (
            json!([{"anything-but": "draft"}]),
            vec![json!("sent"), json!(1), json!(null), json!(["draft", "sent"])],
            vec![json!("draft"), json!(["draft"]), json!([])],
        ),
        (json!([{"anything-but": 123}]), vec![json!("123"), json!(124)], vec![json!(123), json!(123.0)]),
        (
            json!([{"anything-but": ["a", 1, null]}]),
            vec![json!("b"), json!(2), json!(false)],
            vec![json!("a"), json!(1), json!(null)],
        ),
        (
            json!([{"anything-but": {"prefix": "init"}}]),
            vec![json!("done"), json!(1)],
            vec![json!("initial")],
        ),
        (json!([{"anything-but": {"suffix": "ed"}}]), vec![json!("new")], vec![json!("opened")]),
        (
            json!([{"numeric": [">", 0, "<=", 5]}]),
            vec![json!(5), json!(0.1)],
            vec![json!(0), json!(5.1), json!("3"), json!(null)],
        ),
        (json!([{"numeric": ["<=", 5, ">", 0]}]), vec![json!(5)], vec![json!(0)]),
        (json!([{"numeric": ["=", 3.0e2]}]), vec![json!(300)], vec![json!(301)]),
        (json!([{"numeric": ["!=", 3]}]), vec![json!(4)], vec![json!(3), json!("4")]),
        (json!([{"numeric": ["<", 10]}]), vec![json!(-1e300)], vec![json!(10)]),
        (
            json!([{"cidr": "10.0.0.0/24"}]),
            vec![json!("10.0.0.255"), json!("::ffff:10.0.0.1")],
            vec![json!("10.0.1.0"), json!("x"), json!("fd00::1")],
        ),
        (json!([{"cidr": "10.0.0.7"}]), vec![json!("10.0.0.7")], vec![json!("10.0.0.8")]),
        (json!([{"cidr": "fd00::/8"}]), vec![json!("fd12::1")], vec![json!("fe80::1"), json!("10.0.0.1")]),
        (json!([{"exists": true}]), vec![json!(null), json!([]), json!({}), json!("")], vec![]),
        (json!([{"exists": false}]), vec![], vec![json!(null), json!("x")]),
        (json!(["x", {"exists": false}]), vec![json!("x")], vec![json!("y")]),
        (
            json!({"b": ["x"]}),
            vec![json!({"b": "x"}), json!([{"b": "y"}, {"b": "x"}])],
            vec![json!("x"), json!([]), json!([["x"]])],
        ),
        (
            json!({"b": ["x"], "c": ["y"]}),
            vec![json!([{"b": "x", "c": "y"}])],
            vec![json!([{"b": "x"}, {"c": "y"}])],
        ),
        (
            json!({"b": [{"exists": false}]}),
            vec![json!({}), json!("x"), json!({"c": 1})],
            vec![json!({"b": null})],
        ),
    ];
    for (entries, matching, others) in table {
        let compiled = pattern(json!({"data": {"a": entries}}));
        for (values, expected) in [(matching, true), (others, false)] {
            for value in values {
                let event = json!({"data": {"a": value}});
                assert_eq!(compiled.matches(&event), expected, "{entries} on {value}");
                assert_eq!(compiled.explain(&event).is_none(), expected, "{entries} explained on {value}");
            }
        }
        let absent = entries.to_string().contains(r#"{"exists":false}"#);
        for event in [json!({"data": {}}), json!({"data": 1}), json!({}), json!(null)] {
            assert_eq!(compiled.matches(&event), absent, "{entries} on {event}");
        }
    }
}

#[test]
fn all_members_must_match_and_one_alternative() {
    let both = pattern(json!({"type": ["a"], "data": {"n": [1], "s": ["x"]}}));
    assert!(both.matches(&json!({"type": "a", "data": {"n": 1, "s": "x", "more": 2}})));
    assert!(!both.matches(&json!({"type": "a", "data": {"n": 1}})));
    assert!(both.extensions().is_empty());
    let either = pattern(
        json!({"source": ["s"], "$or": [{"type": ["a"]}, {"data": {"$or": [{"n": [1]}, {"m": [1]}]}}]}),
    );
    assert!(either.matches(&json!({"source": "s", "type": "a"})));
    assert!(either.matches(&json!({"source": "s", "type": "b", "data": {"m": 1}})));
    assert!(!either.matches(&json!({"source": "s", "type": "b", "data": {"m": 2}})));
    assert!(!either.matches(&json!({"source": "t", "type": "a"})));
    assert_eq!(either.extensions(), ["$or"]);
}

#[test]
fn a_mismatch_names_the_first_path() {
    let wanted = pattern(json!({
        "type": [{"prefix": "todo."}, "b", "a"],
        "data": {"items": {"n": [{"numeric": [">", 0, "<", 9]}]}},
        "$or": [{"subject": ["s"]}, {"subject": ["t"]}]
    }));
    let mismatch = |event: Value| wanted.explain(&event).map(|mismatch| mismatch.to_string());
    let said = mismatch(json!({"type": "c"})).unwrap();
    assert!(
        said == r#"`data.items.n` is missing; the pattern takes {"numeric": [">", 0, "<", 9]}"#
            || said == r#"`type` is "c"; the pattern takes "a" or "b" or {"prefix": "todo."}"#,
        "{said}"
    );
    let event = json!({"type": "a", "data": {"items": {"n": 9}}});
    assert_eq!(
        mismatch(event).unwrap(),
        r#"`data.items.n` is 9; the pattern takes {"numeric": [">", 0, "<", 9]}"#
    );
    let event = json!({"type": "a", "data": {"items": [{"n": 9}]}});
    assert!(mismatch(event).unwrap().contains("none of these is one"));
    let event = json!({"type": "a", "data": {"items": [{"n": 8}]}});
    assert_eq!(
        mismatch(event).unwrap(),
        "`$or` is missing; the pattern takes one of 2 patterns, and none of them matches"
    );
    assert_eq!(mismatch(json!({"type": "a", "subject": "t", "data": {"items": {"n": 8}}})), None);
}

#[test]
fn what_an_attribute_excludes_is_known_before_there_is_an_event() {
    let known = Known::Starts { with: "dingtalk.", except: &["dingtalk.card.action"] };
    let takes = |of: Value| pattern(of).may_match("type", known);
    assert!(takes(json!({"data": {"a": [1]}})));
    assert!(takes(json!({"type": ["x", "dingtalk.user_add_org"]})));
    assert!(takes(json!({"type": [{"prefix": "ding"}]})));
    assert!(takes(json!({"type": [{"prefix": "dingtalk.user_"}]})));
    assert!(takes(json!({"type": [{"suffix": "_org"}]})));
    assert!(takes(json!({"type": [{"anything-but": "dingtalk.user_add_org"}]})));
    assert!(takes(json!({"type": [{"exists": true}]})));
    assert!(takes(json!({"$or": [{"type": ["x"]}, {"type": [{"equals-ignore-case": "DingTalk.X"}]}]})));
    assert!(!takes(json!({"type": ["x", "dingtalk.card.action"]})));
    assert!(!takes(json!({"type": [{"prefix": "todo."}, null, 1]})));
    assert!(!takes(json!({"type": [{"anything-but": {"prefix": "ding"}}]})));
    assert!(!takes(json!({"$or": [{"type": ["x"]}, {"type": ["y"]}]})));
    assert!(pattern(json!({"source": ["/dingtalk/a"]})).may_match("source", Known::Text("/dingtalk/a")));
    assert!(!pattern(json!({"source": ["/dingtalk/a"]})).may_match("source", Known::Text("/dingtalk/b")));
}

#[test]
fn a_mistake_is_told_with_its_place_and_the_mend() {
    let table = [
        (json!([]), r#"it is an array; a pattern is an object such as {"type": ["dingtalk.user_add_org"]}"#),
        (json!({}), "it is empty, which says nothing; name a member, or leave it out"),
        (json!({"type": "a"}), r#"at `type`: values stand in an array: ["a"]"#),
        (json!({"type": {"prefix": "a"}}), r#"at `type`: an operator stands in an array: [{"prefix":"a"}]"#),
        (
            json!({"type": []}),
            r#"at `type`: no value is in an empty array; for any write [{"exists": true}]"#,
        ),
        (json!({"type": [["a"]]}), "at `type[0]`: an array in an array; write its values into the outer one"),
        (
            json!({"source": {"a": ["b"]}}),
            r#"at `source`: only `data` has members; a pattern for it is {"data": {"source": …}}"#,
        ),
        (
            json!({"detail-type": ["a"]}),
            "at `detail-type`: no attribute of an event has such a name (lower-case letters and digits); what the event \
             carries stands in `data`",
        ),
        (
            json!({"data": {"a": [{"wildcard": "*x*"}]}}),
            "at `data.a[0]`: there is no operator `wildcard`; there are prefix, suffix, contains, anything-but, numeric, \
             cidr, exists, equals-ignore-case; for `*x*` write contains",
        ),
        (
            json!({"data": {"a": [{"prefix": "a", "suffix": "b"}]}}),
            "at `data.a[0]`: an operator is an object with one member; for either of two write [{…}, {…}]",
        ),
        (
            json!({"type": [{"prefix": 1}]}),
            r#"at `type[0].prefix`: it takes a text, such as "todo.", not a number"#,
        ),
        (
            json!({"type": [{"prefix": ""}]}),
            r#"at `type[0].prefix`: every text has the empty one; write {"exists": true}"#,
        ),
        (json!({"type": [{"exists": "no"}]}), "at `type[0].exists`: it takes true or false"),
        (
            json!({"data": {"a": [{"numeric": [">", "5"]}]}}),
            r#"at `data.a[0].numeric`: it takes a comparison and a number, such as [">=", 5], or two for a range: [">", 0, "<=", 5]"#,
        ),
        (
            json!({"data": {"a": [{"numeric": ["==", 5]}]}}),
            "at `data.a[0].numeric`: there is no comparison `==`; there are =, !=, <, <=, > and >=",
        ),
        (
            json!({"data": {"a": [{"numeric": [">", 5, "<", 5]}]}}),
            "at `data.a[0].numeric`: no number is in this range: 5 to 5",
        ),
        (
            json!({"data": {"a": [{"numeric": [">", 5, ">", 6]}]}}),
            r#"at `data.a[0].numeric`: a range has a lower and an upper bound: [">", 0, "<=", 5]"#,
        ),
        (
            json!({"data": {"a": [{"cidr": "10.0.0.0/33"}]}}),
            r#"at `data.a[0].cidr`: "10.0.0.0/33" is no address range; it takes one such as "10.0.0.0/24" or "fd00::/8""#,
        ),
        (
            json!({"data": {"a": [{"anything-but": {"numeric": ["=", 1]}}]}}),
            r#"at `data.a[0].anything-but`: it takes a value, an array of values, or one of {"prefix": …}, {"suffix": …}, {"contains": …}"#,
        ),
        (
            json!({"$or": [{"type": ["a"]}]}),
            r#"at `$or`: it takes two or more patterns: [{"type": ["a"]}, {"subject": ["b"]}]"#,
        ),
        (
            json!({"$or": [{"type": ["a"]}, {"Type": ["b"]}]}),
            "at `$or[1].Type`: no attribute of an event has such a name (lower-case letters and digits); what the event \
             carries stands in `data`",
        ),
    ];
    for (mistake, words) in table {
        assert_eq!(refusal(mistake), words);
    }
}

#[test]
fn patterns_are_bounded() {
    let nested = |levels: usize| (0..levels).fold(json!(["x"]), |inner, _| json!({ "a": inner }));
    pattern(json!({"data": nested(14)}));
    assert!(refusal(json!({"data": nested(40)})).contains("deeper than 16 levels"));
    let texts: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    pattern(json!({"type": texts}));
    assert!(refusal(json!({"type": texts, "source": ["x"]})).contains("more than 1000 entries"));
    assert!(refusal(json!({"type": ["x".repeat(70_000)]})).contains("64 KiB"));
    assert!(refusal(json!({"data": {"n": (0..101).collect::<Vec<i32>>()}})).contains("100 operators"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof!["prefix", "10.0.0.0/8", "[a-c]{0,2}", ">=", "<"].prop_map(Value::from),
    ];
    let name = prop_oneof![
        "[a-c]",
        "data|type|prefix|suffix|contains|anything-but|numeric|cidr|exists|equals-ignore-case",
        Just("$or".to_owned())
    ];
    leaf.prop_recursive(5, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The pattern that asks for exactly this value.
fn exact(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Object(members) if members.is_empty() => return None,
        Value::Object(members) => {
            let each = members.iter().filter(|(name, _)| *name != "$or");
            let each: serde_json::Map<_, _> =
                each.filter_map(|(name, value)| Some((name.clone(), exact(value)?))).collect();
            return (!each.is_empty()).then_some(Value::Object(each));
        }
        Value::Array(elements) => {
            let plain: Vec<&Value> = elements.iter().filter(|e| !e.is_array() && !e.is_object()).collect();
            return (!plain.is_empty()).then(|| json!(plain));
        }
        value => json!([value]),
    })
}

proptest! {
    #[test]
    fn nothing_panics_and_explain_agrees_with_matches(as_pattern in any_json(), event in any_json()) {
        if let Ok(pattern) = Pattern::parse(&as_pattern) {
            prop_assert_eq!(pattern.explain(&event).is_none(), pattern.matches(&event));
            pattern.explain(&event).map(|mismatch| mismatch.to_string());
        }
    }

    #[test]
    fn an_event_matches_the_pattern_of_its_own_values(data in any_json()) {
        let event = json!({"data": data});
        if let Some(Ok(pattern)) = exact(&event).map(|pattern| Pattern::parse(&pattern)) {
            prop_assert!(pattern.matches(&event), "{event}");
        }
    }

    #[test]
    fn what_an_attribute_rules_out_never_matches(entries in any_json(), rest in "[a-z_.]{0,8}") {
        let known = Known::Starts { with: "dingtalk.", except: &[] };
        if let Ok(pattern) = Pattern::parse(&json!({"type": [entries]}))
            && !pattern.may_match("type", known)
        {
            let event = json!({"type": format!("dingtalk.{rest}")});
            prop_assert!(!pattern.matches(&event), "{event}");
        }
    }
}
