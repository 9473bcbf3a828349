use super::*;
use crate::api::http::error::FieldError;
use crate::api::http::input::read_object;
use proptest::prelude::*;
use serde_json::json;

const LIMITS: SendLimits = SendLimits { text_max_chars: 10, now: Millis(1_700_000_000_000) };

fn parse(body: &Value, limits: &SendLimits) -> Result<SendRequest, ApiError> {
    let Value::Object(object) = body else { panic!("{body} is not an object") };
    let with_key = Some("key".to_owned());
    read_object::<SendBody>(object.clone())?.into_request(limits, with_key)
}

fn fingerprint_of(request: &SendRequest) -> Vec<u8> {
    request.idempotency.as_ref().unwrap().fingerprint.clone()
}

fn refusal(body: &Value) -> Vec<FieldError> {
    match parse(body, &LIMITS) {
        Err(ApiError::Invalid(errors)) => errors,
        other => panic!("{body} gave {other:?}"),
    }
}

fn wrong_fields(body: &Value) -> Vec<String> {
    refusal(body).into_iter().map(|error| error.field).collect()
}

fn is_too_large(body: &Value) -> bool {
    matches!(parse(body, &LIMITS), Err(ApiError::DataTooLarge(4_194_304)))
}

#[test]
fn spellings_of_one_request_have_one_fingerprint() {
    let plain = parse(&json!({ "to": "15550100001", "text": "hi" }), &LIMITS).unwrap();
    for body in [
        json!({ "chatId": "15550100001@c.us", "body": "hi" }),
        json!({ "to": "", "chatId": "+1 555 010 0001", "text": null, "body": "hi", "unknown": 1 }),
        json!({ "to": "15550100001", "text": "hi", "media": {}, "mediaUrl": "", "location": null, "poll": null }),
        json!({ "to": "15550100001", "text": "hi", "body": "hi", "priority": "normal", "useQueue": true, "enableTyping": false }),
    ] {
        let parsed = parse(&body, &LIMITS).unwrap();
        assert_eq!(
            (&parsed.to, &parsed.text, &parsed.content),
            (&plain.to, &plain.text, &plain.content),
            "{body}"
        );
        assert_eq!(fingerprint_of(&parsed), fingerprint_of(&plain));
    }
}

#[test]
fn different_requests_have_different_fingerprints() {
    let base = json!({ "to": "15550100001", "text": "hi" });
    let first = fingerprint_of(&parse(&base, &LIMITS).unwrap());
    for (field, value) in [
        ("to", json!("15550100002")),
        ("text", json!("ho")),
        ("tempId", json!("t1")),
        ("priority", json!("high")),
        ("sendAt", json!(1_700_000_001_000_i64)),
    ] {
        let mut other = base.clone();
        other[field] = value;
        assert_ne!(fingerprint_of(&parse(&other, &LIMITS).unwrap()), first, "{field}");
    }
}

#[test]
fn every_wrong_field_is_named() {
    let body = json!({ "to": 5, "text": ["x"], "tempId": {"a": 1}, "priority": "urgent", "sendAt": "soon", "useQueue": "yes" });
    let expected = ["priority", "sendAt", "tempId", "text", "to", "useQueue"];
    assert_eq!(wrong_fields(&body), expected);
    assert_eq!(wrong_fields(&json!({})), ["text", "to"]);
    assert_eq!(wrong_fields(&json!({ "to": "15550100001", "text": "12345678901" })), ["text"]);
    assert_eq!(wrong_fields(&json!({ "to": "15550100001", "body": "  " })), ["body"]);
    assert_eq!(wrong_fields(&json!({ "to": "x@example.org", "text": "a" })), ["to"]);
    assert_eq!(
        wrong_fields(&json!({ "to": "15550100001", "text": "a", "tempId": "t".repeat(129) })),
        ["tempId"]
    );
}

#[test]
fn several_contents_are_refused() {
    let two = json!({ "to": "15550100001", "text": "a", "location": { "latitude": 1, "longitude": 2 } });
    assert_eq!(wrong_fields(&two), ["location"]);
    assert_eq!(wrong_fields(&json!({ "to": "15550100001", "poll": 3 })), ["poll"]);
}

#[test]
fn text_beside_media_is_its_caption() {
    let with = |text: &str, media: Value| json!({ "to": "15550100001", "text": text, "media": media });
    let caption = |body: &Value| parse(body, &LIMITS).unwrap().text;
    let longer_than_a_text = "x".repeat(20);
    assert_eq!(caption(&with(&longer_than_a_text, json!({ "mediaId": "m" }))), longer_than_a_text);
    assert_eq!(caption(&with("a", json!({ "mediaId": "m", "caption": "a" }))), "a");
    assert_eq!(caption(&with("", json!({ "mediaId": "m", "caption": "b" }))), "b");
    let by_url = json!({ "to": "15550100001", "body": "a", "mediaUrl": "https://example.com/a.png" });
    assert_eq!(caption(&by_url), "a");
    let two = refusal(&with("a", json!({ "mediaId": "m", "caption": "b" })));
    assert_eq!((two.len(), two[0].field.as_str()), (1, "text"));
    assert_eq!(wrong_fields(&with(&"x".repeat(1_025), json!({ "mediaId": "m" }))), ["text"]);
    let plain = json!({ "to": "15550100001", "media": { "mediaId": "m", "caption": "a" } });
    let (first, second) = (parse(&plain, &LIMITS), parse(&with("a", json!({ "mediaId": "m" })), &LIMITS));
    assert_eq!(fingerprint_of(&first.unwrap()), fingerprint_of(&second.unwrap()));
}

#[test]
fn media_without_exactly_one_source_is_refused() {
    let send = |media: Value| json!({ "to": "15550100001", "media": media });
    let source = |body: &Value| match parse(body, &LIMITS).map(|body| body.content) {
        Ok(SendContent::Media(media)) => media.source,
        other => panic!("{body} gave {other:?}"),
    };
    let url = MediaSource::Url("https://example.com/a.png".to_owned());
    assert_eq!(source(&send(json!({ "url": "https://example.com/a.png" }))), url);
    assert_eq!(source(&json!({ "to": "15550100001", "mediaUrl": "https://example.com/a.png" })), url);
    assert_eq!(
        source(&send(json!({ "data": "data:image/png;base64,aGk=" }))),
        MediaSource::Inline(b"hi".to_vec())
    );
    for lines in ["aGVs\nbG8=\n", " aGVs\r\nbG8=\r\n", "data:text/plain;base64,\taGVs bG8="] {
        let inline = source(&send(json!({ "data": lines })));
        assert_eq!(inline, MediaSource::Inline(b"hello".to_vec()), "{lines:?}");
    }
    for (media, field) in [
        (json!({ "data": " \n \n" }), "media.data"),
        (json!({ "filename": "a" }), "media"),
        (json!({ "url": "https://example.com/a", "mediaId": "m" }), "media"),
        (json!({ "data": "no base64!" }), "media.data"),
        (json!({ "data": "aGk=", "caption": "x".repeat(1_025) }), "media.caption"),
        (json!({ "data": "aGk=", "asVoice": 1 }), "media.asVoice"),
        (json!({ "data": "aGk=", "asVoice": true, "asSticker": true }), "media.asVoice"),
    ] {
        assert_eq!(wrong_fields(&send(media)), [field]);
    }
    let padded = send(json!({ "data": format!("aGk={}", "\n".repeat(6 * 1024 * 1024)) }));
    assert_eq!(source(&padded), MediaSource::Inline(b"hi".to_vec()));
    let large = send(json!({ "data": "AAAA\n".repeat(3 * 512 * 1024) }));
    assert!(is_too_large(&large));
    let large = send(json!({ "data": "A".repeat(6 * 1024 * 1024) }));
    assert!(is_too_large(&large));
}

#[test]
fn locations_cards_and_polls_name_invalid_fields() {
    let wrong = |field: &str, value: Value| {
        let mut body = json!({ "to": "15550100001" });
        body[field] = value;
        wrong_fields(&body)
    };
    assert_eq!(
        wrong("location", json!({ "latitude": 91, "longitude": "x" })),
        ["location.latitude", "location.longitude"]
    );
    assert_eq!(wrong("location", json!([1, 2])), ["location"]);
    assert_eq!(wrong("contact", json!({ "name": "Ada" })), ["contact.phoneNumber"]);
    assert_eq!(wrong("contact", json!({ "name": "Ada", "phoneNumber": "x" })), ["contact.phoneNumber"]);
    assert_eq!(wrong("contact", json!({ "vcard": "hello" })), ["contact.vcard"]);
    assert_eq!(wrong("contact", json!([{ "phoneNumber": "15550100001" }, 5])), ["contact[1]"]);
    assert_eq!(wrong("contact", json!([{ "vcard": 5 }])), ["contact[0].vcard"]);
    assert_eq!(wrong("poll", json!({ "options": ["a", "a"] })), ["poll.name"]);
    assert_eq!(wrong("poll", json!({ "name": "?", "options": ["a"] })), ["poll.options"]);
    let good = json!({ "to": "15550100001", "poll": { "question": "Lunch?", "options": ["yes", "no"] } });
    assert!(parse(&good, &LIMITS).is_ok());
}

#[test]
fn templates_name_invalid_fields() {
    let with = |template: Value| json!({ "to": "15550100001", "template": template });
    let wrong = |template: Value| wrong_fields(&with(template));
    let read = |template: Value| {
        let request = parse(&with(template), &LIMITS).unwrap();
        let SendContent::Ready(Content::Template(template)) = request.content else { panic!("no template") };
        (request.text, template)
    };
    assert_eq!(wrong(json!({ "name": "Order ready" })), ["template.language"]);
    assert_eq!(wrong(json!({ "name": "Order ready", "language": "en" })), ["template.name"]);
    assert_eq!(wrong(json!({ "name": "a", "language": "?" })), ["template.language"]);
    assert_eq!(
        wrong(json!({ "name": "a", "language": "en", "components": [5] })),
        ["template.components[0]"]
    );
    assert_eq!(wrong(json!({ "name": "a", "language": "en", "text": 5 })), ["template.text"]);
    assert_eq!(wrong(json!("order_ready")), ["template"]);
    let many = json!({ "name": "a", "language": "en", "components": vec![json!({}); 17] });
    assert_eq!(wrong(many), ["template.components"]);
    let long = json!({ "name": "a", "language": "en", "components": [{ "text": "x".repeat(40_000) }] });
    assert_eq!(wrong(long), ["template.components"]);
    let (text, template) = read(json!({ "name": "order_ready", "language": { "code": "en_US" } }));
    assert_eq!((text.as_str(), template.language.as_str()), ("order_ready", "en_US"));
    let (text, _) = read(json!({ "name": "order_ready", "language": "en", "text": "Ready." }));
    assert_eq!(text, "Ready.");
}

#[test]
fn mentions_and_quotes_are_parsed_as_ids() {
    let with = |field: &str, value: Value| {
        let mut body = json!({ "to": "15550100001", "text": "a" });
        body[field] = value;
        body
    };
    let good = with("mentions", json!(["15550100002", "1@lid"]));
    assert_eq!(parse(&good, &LIMITS).unwrap().mentions.len(), 2);
    assert_eq!(wrong_fields(&with("mentions", json!(["120363@g.us"]))), ["mentions[0]"]);
    assert_eq!(wrong_fields(&with("mentions", json!(["15550100002", "x"]))), ["mentions[1]"]);
    assert_eq!(wrong_fields(&with("mentions", json!("15550100002"))), ["mentions"]);
    assert_eq!(wrong_fields(&with("quotedMessageId", json!("A"))), ["quotedMessageId"]);
    let plain = fingerprint_of(&parse(&json!({ "to": "15550100001", "text": "a" }), &LIMITS).unwrap());
    for body in [good, with("quotedMessageId", json!("false_15550100001@c.us_A"))] {
        assert_ne!(fingerprint_of(&parse(&body, &LIMITS).unwrap()), plain);
    }
}

#[test]
fn implausible_send_at_is_refused() {
    let at = |value: Value| json!({ "to": "15550100001", "text": "a", "sendAt": value });
    for good in [json!(1_700_000_060_000_i64), json!("1700000060000"), json!(1.700_000_06e12)] {
        assert_eq!(parse(&at(good), &LIMITS).unwrap().send_at, Some(Millis(1_700_000_060_000)));
    }
    assert_eq!(parse(&at(json!("")), &LIMITS).unwrap().send_at, None);
    for bad in
        [json!(1_700_000_060), json!(-1), json!(1.5), json!(1e300), json!(1_800_000_000_000_i64), json!(true)]
    {
        assert_eq!(wrong_fields(&at(bad)), ["sendAt"]);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,4}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn reading_never_panics_and_refusals_name_a_field(values in prop::collection::vec(any_value(), 12)) {
        let names = ["to", "chatId", "text", "body", "media", "mediaUrl", "location", "contact", "poll", "tempId", "sendAt", "mentions"];
        let body: Map<_, _> = names.iter().map(ToString::to_string).zip(values).collect();
        if let Err(ApiError::Invalid(errors)) = parse(&Value::Object(body), &LIMITS) {
            prop_assert!(!errors.is_empty());
        }
    }
}
