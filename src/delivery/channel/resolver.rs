//! Names to addresses, through the guard: the addresses that it lets through are the very ones that are connected to, so a name
//! that answers differently a moment later gains nothing.

use crate::delivery::channel::guard::Guard;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

pub type Lookup = Arc<dyn Fn(String) -> Looking + Send + Sync>;
pub type Looking = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// Every address of a name is one that nothing may be sent to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} is an internal address; where that is meant, add its block to delivery.allow_list")]
pub struct Forbidden {
    host: String,
}

#[derive(Clone)]
pub struct Resolver {
    guard: Guard,
    lookup: Lookup,
    /// The proxy's name: a setting, not a target.
    proxy: Option<String>,
}

impl Resolver {
    pub fn new(guard: Guard, lookup: Lookup, proxy: Option<&Url>) -> Resolver {
        Resolver { guard, lookup, proxy: proxy.and_then(Url::host_str).map(str::to_owned) }
    }

    /// What no lookup at the time of the connection would see: addresses written out, and names that a proxy resolves. A name
    /// that only the proxy knows passes, for then the proxy is the one that decides what it reaches.
    pub async fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let Some(host) = url.host_str() else { return Ok(()) };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse::<IpAddr>() {
            return if self.guard.allows(address) { Ok(()) } else { Err(Forbidden { host: host.to_owned() }) };
        }
        if self.proxy.is_some()
            && let Ok(addresses) = (self.lookup)(host.to_owned()).await
            && !addresses.iter().all(|address| self.guard.allows(*address))
        {
            // Which one the proxy would take is not known here.
            return Err(Forbidden { host: host.to_owned() });
        }
        Ok(())
    }

    async fn addresses(self, host: String) -> Result<Vec<IpAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let found = (self.lookup)(host.clone()).await?;
        if self.proxy.as_deref() == Some(host.as_str()) {
            return Ok(found);
        }
        let passed: Vec<IpAddr> = found.iter().copied().filter(|address| self.guard.allows(*address)).collect();
        match (passed.is_empty(), found.is_empty()) {
            (false, _) => Ok(passed),
            (true, false) => Err(Forbidden { host }.into()),
            (true, true) => Err(std::io::Error::other(format!("{host} has no address")).into()),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.clone().addresses(name.as_str().to_owned());
        Box::pin(async move {
            let addresses = addresses.await?.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// As the operating system resolves names.
pub fn system() -> Lookup {
    Arc::new(|host| Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) }))
}
