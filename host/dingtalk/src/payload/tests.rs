use serde_json::json;

use super::*;

#[test]
fn card_actions_in_all_their_shapes() {
    let inner =
        json!({"cardPrivateData": {"actionIds": ["1", 2], "params": {"action": "accept"}}}).to_string();
    for place in ["content", "value", "actionValue"] {
        let data = json!({"type": "actionCallback", "outTrackId": "t", "corpId": "c", "userId": "u", "userIdType": 1,
            "spaceId": "s", "spaceType": "IM", "extension": "{}", place: inner});
        let card = CardCallback::parse(&data.to_string()).unwrap();
        assert_eq!(card.action_ids, ["1", "2"]);
        assert_eq!(card.params, r#"{"action":"accept"}"#);
        assert_eq!(card.content.as_deref(), Some(inner.as_str()));
        assert_eq!(card.out_track_id.as_deref(), Some("t"));
    }
    let card = CardCallback::parse(r#"{"content":"not json"}"#).unwrap();
    assert_eq!((card.content.as_deref(), card.params.as_str()), (Some("not json"), "{}"));
    assert!(CardCallback::parse("[]").is_err());
}

#[test]
fn dynamic_data() {
    let data = r#"{"type":"dynamicDataCallback","corpId":"corp1234","userId":"user0","outTrackId":"t",
        "content":"{\"dynamicDataSourceQueryRequests\":[{\"dynamicDataSourceId\":\"example_ds_1\"}]}"}"#;
    let request = DynamicDataRequest::parse(data).unwrap();
    assert_eq!(request.data_source_ids, ["example_ds_1"]);
    assert_eq!(request.user_id.as_deref(), Some("user0"));
}

#[test]
fn graph_calls() {
    let data = r#"{"requestLine":{"method":"POST","uri":"/v1/actions/x"},"headers":{"x-plugin-id":"p","n":1},"body":"{\"a\":1}"}"#;
    let request = GraphRequest::parse(data).unwrap();
    assert_eq!((request.method.as_str(), request.uri.as_str()), ("POST", "/v1/actions/x"));
    assert_eq!(request.headers.get("n").map(String::as_str), Some("1"));
    assert_eq!(request.body, r#"{"a":1}"#);
    assert_eq!(GraphRequest::parse("{}").unwrap_err(), PayloadError::Missing("requestLine"));
}

#[test]
fn connector_actions_of_both_versions() {
    let one = r#"{"headers":{"specVersion":"1.0","connectorCorpId":"c","type":"HTTP","connectorId":"k","actionId":"a"},
        "body":{"httpRequest":{"method":"GET"}}}"#;
    let one = IpaasRequest::parse(one).unwrap();
    assert_eq!((one.spec_version.as_deref(), one.plugin.as_deref()), (Some("1.0"), Some("HTTP")));
    assert_eq!(one.body, r#"{"httpRequest":{"method":"GET"}}"#);
    let two = IpaasRequest::parse(r#"{"specVersion":"2.0","pluginName":"http","data":"{\"x\":1}"}"#).unwrap();
    assert_eq!((two.spec_version.as_deref(), two.plugin.as_deref()), (Some("2.0"), Some("http")));
    assert_eq!(two.body, r#"{"x":1}"#);
}

#[test]
fn events_come_from_the_headers() {
    let mut headers = FrameHeaders { event_id: Some("e".into()), ..FrameHeaders::default() };
    assert_eq!(OrgEvent::from_headers(&headers).unwrap_err(), PayloadError::Missing("eventType"));
    headers.event_type = Some("user_add_org".into());
    assert_eq!(OrgEvent::from_headers(&headers).unwrap().event_type, "user_add_org");
}
