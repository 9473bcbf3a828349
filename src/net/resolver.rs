//! DNS for outgoing requests. The [`Guard`] filters each answer, so that no name resolves to a refused address,
//! also when the answer changes between two lookups.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::{Guard, Refused};

/// Resolves a name to addresses.
pub(super) trait Lookup: Debug + Send + Sync {
    fn look_up(&self, name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver.
#[derive(Debug)]
pub(super) struct SystemLookup;

impl Lookup for SystemLookup {
    fn look_up(&self, name: String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        // The client replaces the port with the one of the URL.
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    }
}

/// A resolver that omits refused addresses.
#[derive(Clone, Debug)]
pub(super) struct GuardedResolver {
    guard: Guard,
    lookup: Arc<dyn Lookup>,
}

impl GuardedResolver {
    pub(super) fn new(guard: Guard, lookup: Arc<dyn Lookup>) -> Self {
        Self { guard, lookup }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, found) = (self.guard.clone(), self.lookup.look_up(name.as_str().to_owned()));
        Box::pin(async move {
            let addresses: Addrs = Box::new(passing(&guard, found.await?.into_iter())?.into_iter());
            Ok(addresses)
        })
    }
}

fn passing(guard: &Guard, found: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<_> = found.collect();
    let passing: Vec<_> = found.iter().copied().filter(|address| guard.check(address.ip()).is_ok()).collect();
    if passing.is_empty() && !found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, Refused));
    }
    Ok(passing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolver_drops_refused_addresses() {
        let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let guard = Guard::default();
        let mixed = [address("127.0.0.1:0"), address("1.1.1.1:0"), address("[fe80::1]:0")];
        assert_eq!(passing(&guard, mixed.into_iter()).unwrap(), [address("1.1.1.1:0")]);
        let private = [address("10.0.0.1:0"), address("[::1]:0")];
        assert_eq!(passing(&guard, private.into_iter()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(passing(&guard, std::iter::empty()).unwrap().is_empty());
    }
}
