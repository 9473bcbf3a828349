//! Control calls: the network and the daemon use the same ids.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::State;
use crate::upstream::world::control::NetworkControl;

pub struct NumberControl(pub Arc<State>);

#[async_trait]
impl NetworkControl for NumberControl {
    fn account(&self, device: &str) -> Option<String> {
        self.0.number(device).map(|number| number.account.name().to_owned())
    }

    /// Meta does not deduplicate: every arrival is shown.
    async fn from_world(&self, _device: &str, call: &str, mut answer: Value) -> Value {
        if call == "network"
            && let Some(sent) = answer["sent"].as_array_mut()
        {
            sent.iter_mut().for_each(|message| message["shown"] = message["arrivals"].clone());
        }
        answer
    }
}
