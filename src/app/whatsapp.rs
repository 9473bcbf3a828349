//! The native engine, where this build has it and the settings allow it.

use std::sync::Arc;

use super::StartError;
use crate::engine::Driver;
use crate::settings::Settings;

/// The driver, or none.
#[cfg(feature = "whatsapp")]
pub(super) fn driver(settings: &Settings) -> Result<Option<Arc<dyn Driver>>, StartError> {
    use crate::engine::whatsapp::{WhatsAppConfig, WhatsAppDriver};

    let testbed = testbed(settings)?;
    if !settings.engines.whatsapp.enabled {
        return Ok(None);
    }
    #[cfg(feature = "testbed")]
    let private = own_files(testbed.as_ref());
    #[cfg(not(feature = "testbed"))]
    let (private, ()) = ([], testbed);
    let config = WhatsAppConfig {
        http: super::api_config::guarded_client(settings, &private),
        #[cfg(feature = "testbed")]
        testbed,
    };
    Ok(Some(Arc::new(WhatsAppDriver::new(config))))
}

/// Private addresses from which files may be downloaded: those of the testbed.
#[cfg(feature = "testbed")]
fn own_files(testbed: Option<&url::Url>) -> Vec<crate::domain::ip_block::IpBlock> {
    let host = testbed.and_then(url::Url::host_str);
    host.and_then(|host| host.trim_matches(['[', ']']).parse().ok()).into_iter().collect()
}

/// The driver, or none.
#[cfg(not(feature = "whatsapp"))]
pub(super) fn driver(settings: &Settings) -> Result<Option<Arc<dyn Driver>>, StartError> {
    testbed(settings)?;
    Ok(None)
}

#[cfg(feature = "testbed")]
fn testbed(settings: &Settings) -> Result<Option<url::Url>, StartError> {
    let text = settings.engines.whatsapp.testbed_url.as_str();
    if text.is_empty() {
        return Ok(None);
    }
    let url: url::Url = text.parse().map_err(|error| wrong(&format!("is no URL: {error}")))?;
    if crate::engine::whatsapp::is_testbed(&url) {
        return Ok(Some(url));
    }
    Err(wrong("must be http:// with a loopback address and a port, such as http://127.0.0.1:8090"))
}

/// A build that checks certificates has no use for a testbed; not to say so would send tests to the real network.
#[cfg(not(feature = "testbed"))]
fn testbed(settings: &Settings) -> Result<(), StartError> {
    if settings.engines.whatsapp.testbed_url.is_empty() {
        return Ok(());
    }
    Err(wrong(
        "needs a build with the feature testbed (./dev run --testbed); this one reaches the real network only",
    ))
}

fn wrong(message: &str) -> StartError {
    StartError::Setting(format!("engines.whatsapp.testbed_url {message}"))
}
