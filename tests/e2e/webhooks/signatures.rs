//! Deliveries verify with the Standard Webhooks library from crates.io.

use standardwebhooks::Webhook;

use super::{app, for_messages};
use crate::support::ANNA;
use crate::support::receiver::Receiver;

#[tokio::test]
async fn delivery_verifies_and_forgery_does_not() {
    let app = app().await;
    app.device("shop").await;
    let receiver = Receiver::start().await;
    let (_, secret) = for_messages(&app, &receiver.url).await;
    app.incoming("shop", ANNA, "hello").await;
    app.wait_until("a delivery", async || (receiver.count() == 1).then_some(())).await;
    let received = receiver.all().remove(0);
    let verifier = Webhook::new(&secret).unwrap();
    verifier.verify(&received.bytes, &received.headers).unwrap();

    let other = Webhook::from_bytes(vec![7; 32]).unwrap();
    assert!(other.verify(&received.bytes, &received.headers).is_err(), "with another secret");
    let changed = [&received.bytes[..], b" "].concat();
    assert!(verifier.verify(&changed, &received.headers).is_err(), "with another body");
    let mut old = received.headers.clone();
    let an_hour_ago = received.header("webhook-timestamp").parse::<i64>().unwrap() - 3_600;
    old.insert("webhook-timestamp", an_hour_ago.to_string().parse().unwrap());
    assert!(verifier.verify(&received.bytes, &old).is_err(), "at another time");
}
