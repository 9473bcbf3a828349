//! `wharf webhooks …`: manages webhooks, their attempts and dead letters.

use serde_json::{Map, Value, json};

use super::client::Client;
use super::exit::{CliError, Exit};
use super::output::{Output, clean, moment_of, text_of};

mod args;
mod output;

use args::{AttemptsArgs, ChangeArgs, CreateArgs, ReplayArgs, RotateArgs, WebhookArg, WebhookOptions};
use output::{attempt_table, letter_table, webhook_facts, webhook_table};

pub use args::WebhooksCommand;

/// Runs a command.
///
/// # Errors
/// [`CliError`] when the daemon refuses or cannot be reached.
pub async fn run(command: WebhooksCommand, client: &Client, out: &Output) -> Result<(), CliError> {
    match command {
        WebhooksCommand::List(args) => {
            let list = match &args.device {
                Some(device) => client.get(&["devices", device.as_str(), "webhooks"], &[]).await?,
                None => client.get(&["webhooks"], &[]).await?,
            };
            out.show(&list, || webhook_table(&list))
        }
        WebhooksCommand::Create(args) => create(args, client, out).await,
        WebhooksCommand::Show(WebhookArg { id }) => {
            let webhook = client.get(&["webhooks", id.as_str()], &[]).await?;
            out.show(&webhook, || webhook_facts(&webhook))
        }
        WebhooksCommand::Change(args) => change(*args, client, out).await,
        WebhooksCommand::Delete(WebhookArg { id }) => {
            let answer = client.delete(&["webhooks", id.as_str()], &[]).await?;
            out.show(&answer, || format!("{id}: deleted"))
        }
        WebhooksCommand::Rotate(args) => rotate(args, client, out).await,
        WebhooksCommand::Test(WebhookArg { id }) => {
            let report = client.post(&["webhooks", id.as_str(), "test"], &json!({})).await?;
            out.show(&report, || {
                let status = text_of(&report, "status");
                format!("{} {status} ({} ms)", text_of(&report, "outcome"), text_of(&report, "durationMs"))
            })?;
            if report["outcome"] == "delivered" { Ok(()) } else { Err(CliError::Reported(Exit::Error)) }
        }
        WebhooksCommand::Attempts(AttemptsArgs { id, limit }) => {
            let query = [("limit", limit.to_string())];
            let attempts = client.get(&["webhooks", id.as_str(), "attempts"], &query).await?;
            out.show(&attempts, || attempt_table(&attempts))
        }
        WebhooksCommand::DeadLetters(WebhookArg { id }) => {
            let letters: Value = client.get_list(&["webhooks", id.as_str(), "dead-letters"]).await?.into();
            out.show(&letters, || letter_table(&letters))
        }
        WebhooksCommand::Replay(args) => replay(args, client, out).await,
    }
}

async fn create(args: CreateArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let mut body = fields(args.options)?;
    body.insert("url".to_owned(), args.url.into());
    if let Some(device) = &args.device {
        body.insert("deviceId".to_owned(), device.as_str().into());
    }
    if let Some(variable) = &args.secret_env {
        let secret = super::environment_variable(variable).ok_or_else(|| {
            CliError::Usage(format!("the environment variable {} is not set", clean(variable)))
        })?;
        body.insert("secret".to_owned(), secret.into());
    }
    let created = client.post(&["webhooks"], &body.into()).await?;
    let id = created.get("webhook").map(|webhook| text_of(webhook, "id")).unwrap_or_default();
    if id.is_empty() {
        return Err(CliError::Failed(
            "the answer has no webhook; check that --url is the URL of a Wharf daemon".to_owned(),
        ));
    }
    out.show(&created, || format!("{id}\n{}", text_of(&created, "signingSecret")))?;
    out.note("Save the secret: it is not shown again. Receivers verify deliveries with it.");
    Ok(())
}

async fn change(args: ChangeArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let mut body = fields(args.options)?;
    clear(&mut body, &args.clear)?;
    if let Some(url) = args.url {
        body.insert("url".to_owned(), url.into());
    }
    if args.enable || args.disable {
        body.insert("enabled".to_owned(), args.enable.into());
    }
    let webhook = client.patch(&["webhooks", args.id.as_str()], &body.into()).await?;
    out.show(&webhook, || webhook_facts(&webhook))
}

fn clear(body: &mut Map<String, Value>, fields: &[String]) -> Result<(), CliError> {
    for field in fields {
        let (name, nothing) = match field.as_str() {
            "exclude" => ("exclude", json!([])),
            "headers" => ("headers", json!({})),
            "timeout" => ("timeoutMs", json!(0)),
            "custom-ca" => ("customCa", json!("")),
            other => (other, json!("")),
        };
        if body.insert(name.to_owned(), nothing).is_some() {
            return Err(CliError::Usage(format!("{field} cannot be set and cleared at once")));
        }
    }
    Ok(())
}

async fn rotate(args: RotateArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let mut body = Map::new();
    if let Some(keep) = args.keep {
        body.insert("keepMs".to_owned(), keep.into());
    }
    let rotated = client.post(&["webhooks", args.id.as_str(), "rotate"], &body.into()).await?;
    out.show(&rotated, || text_of(&rotated, "signingSecret"))?;
    let until = moment_of(&rotated, "previousSecretUntil");
    out.note(&format!("Save the secret: it is not shown again. The previous one signs too until {until}."));
    Ok(())
}

async fn replay(args: ReplayArgs, client: &Client, out: &Output) -> Result<(), CliError> {
    let mut body = match (args.dead, args.letter) {
        (true, _) => json!({ "dead": true }),
        (false, Some(letter)) => json!({ "id": letter }),
        (false, None) => json!({ "from": args.from, "to": args.to }),
    };
    if let Some(device) = &args.device {
        body["deviceId"] = device.as_str().into();
    }
    let answer = client.post(&["webhooks", args.id.as_str(), "replay"], &body).await?;
    out.show(&answer, || format!("{} deliveries were requeued", text_of(&answer, "replayed")))
}

fn fields(options: WebhookOptions) -> Result<Map<String, Value>, CliError> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| drop(body.insert(name.to_owned(), value)));
    };
    put("name", options.name.map(Value::from));
    put("events", (!options.events.is_empty()).then(|| options.events.into()));
    put("exclude", (!options.exclude.is_empty()).then(|| options.exclude.into()));
    put("format", options.format.map(Value::from));
    put("ordering", options.ordering.map(Value::from));
    let headers: Map<String, Value> =
        options.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    put("headers", (!headers.is_empty()).then(|| headers.into()));
    put("timeoutMs", options.timeout.map(Value::from));
    if let Some(path) = &options.custom_ca {
        let pem = std::fs::read_to_string(path)
            .map_err(|error| CliError::Usage(format!("{} cannot be read: {error}", path.display())))?;
        put("customCa", Some(pem.into()));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleared_option_is_sent_as_null_and_excludes_value() {
        let all = ["name", "exclude", "headers", "timeout", "custom-ca"].map(str::to_owned);
        let mut body = Map::new();
        assert!(clear(&mut body, &all).is_ok());
        let nothing = json!({ "name": "", "exclude": [], "headers": {}, "timeoutMs": 0, "customCa": "" });
        assert_eq!(Value::Object(body.clone()), nothing);
        assert!(clear(&mut body, &all[..1]).is_err());
    }
}
