//! Blocks of IP addresses, such as `10.0.0.0/8`. Parsing rejects blocks with address bits beyond the prefix.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An address block; an address without a prefix length is a block of one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IpBlock(IpNet);

/// The reason why a text is not an address block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidIpBlock {
    /// The part before the slash is not an IP address.
    #[error("not an IP address or CIDR block such as 10.0.0.0/8")]
    Address,
    /// The part after the slash is not a valid prefix length for the address family.
    #[error("the prefix length must be 0 to {0}")]
    Prefix(u8),
    /// The address has bits set beyond the prefix, which is probably a typing error.
    #[error("the address has bits set beyond the prefix; the block is {0}")]
    HostBits(IpBlock),
}

impl IpBlock {
    /// Whether the block contains `address`. An IPv4-mapped IPv6 address is compared as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for IpBlock {
    type Err = InvalidIpBlock;

    fn from_str(text: &str) -> Result<Self, InvalidIpBlock> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| InvalidIpBlock::Address)?;
        if address != address.to_canonical() {
            return Err(InvalidIpBlock::Address);
        }
        let whole = IpNet::from(address);
        let Some(prefix) = prefix else { return Ok(Self(whole)) };
        let invalid = InvalidIpBlock::Prefix(whole.max_prefix_len());
        let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|_| digits).ok_or(invalid)?;
        let block = IpNet::new(address, prefix).map_err(|_| invalid)?;
        if block.network() != address {
            return Err(InvalidIpBlock::HostBits(Self(block.trunc())));
        }
        Ok(Self(block))
    }
}

impl fmt::Display for IpBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for IpBlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IpBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
