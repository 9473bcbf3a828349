//! Blocks of IP addresses, such as `10.0.0.0/8`. Parsing rejects blocks with address bits beyond the prefix.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An address block; an address without a prefix length is a block of one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// The reason why a text is not an address block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidCidr {
    /// The part before the slash is not an IP address.
    #[error("not an IP address or CIDR block such as 10.0.0.0/8")]
    Address,
    /// The part after the slash is not a valid prefix length for the address family.
    #[error("the prefix length must be 0 to {0}")]
    Prefix(u8),
    /// The address has bits set beyond the prefix, which is probably a typing error.
    #[error("the address has bits set beyond the prefix; the block is {0}")]
    HostBits(Cidr),
}

impl Cidr {
    /// Whether the block contains `address`. An IPv4-mapped IPv6 address is compared as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix) == Some(self.network)
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| InvalidCidr::Address)?;
        if address != address.to_canonical() {
            return Err(InvalidCidr::Address);
        }
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), |p| parse_prefix(p, bits))?;
        let network = masked(address, prefix).ok_or(InvalidCidr::Prefix(bits))?;
        if network != address {
            return Err(InvalidCidr::HostBits(Self { network, prefix }));
        }
        Ok(Self { network, prefix })
    }
}

fn parse_prefix(text: &str, bits: u8) -> Result<u8, InvalidCidr> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let prefix = text.parse().ok().filter(|p| digits && *p <= bits);
    prefix.ok_or(InvalidCidr::Prefix(bits))
}

/// The address with all bits after `prefix` cleared; `None` when the address has fewer bits than `prefix`.
fn masked(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let spare = 32u32.checked_sub(prefix.into())?;
            let mask = u32::MAX.checked_shl(spare).unwrap_or(0);
            Some(IpAddr::V4((v4.to_bits() & mask).into()))
        }
        IpAddr::V6(v6) => {
            let spare = 128u32.checked_sub(prefix.into())?;
            let mask = u128::MAX.checked_shl(spare).unwrap_or(0);
            Some(IpAddr::V6((v6.to_bits() & mask).into()))
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
