//! The addresses that outgoing requests may reach: public ones and explicitly allowed private blocks.
//! The blocks follow the IANA special-purpose address registries for IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::domain::ip_block::IpBlock;

/// The address rules. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: Arc<[IpBlock]>,
}

/// A refused address. The text does not contain it, because the client that supplied it may see the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the address is private, local or reserved; net.allow_private can allow it")]
pub struct Refused;

impl Guard {
    /// Rules that also allow the blocks of `allowed`.
    pub fn new(allowed: &[IpBlock]) -> Self {
        Self { allowed: allowed.into() }
    }

    /// Checks an address. An IPv4-mapped IPv6 address counts as its IPv4 address.
    ///
    /// # Errors
    /// [`Refused`] if no request may reach it.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let address = address.to_canonical();
        let allowed = self.allowed.iter().any(|block| block.contains(address));
        if allowed || is_public(address) { Ok(()) } else { Err(Refused) }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        // This network, loopback, private use, and 240.0.0.0/4 with broadcast; 224.0.0.0/4 is multicast.
        [0 | 10 | 127 | 224..=255, ..]
        // Shared address space of carriers.
        | [100, 64..=127, ..]
        // Link local, where clouds keep their metadata services.
        | [169, 254, ..]
        | [172, 16..=31, ..]
        // Protocol assignments, documentation, the retired 6to4 relay.
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [192, 168, ..]
        // Benchmarks, documentation.
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // NAT64 reaches the IPv4 address in its last 32 bits.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4((u32::from(high) << 16 | u32::from(low)).into())
        }
        // Protocol assignments with Teredo, documentation, and 6to4, which reaches an IPv4 address.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // All else that is not global unicast: loopback, unique local, link local, multicast, unassigned.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allows(guard: &Guard, address: &str) -> bool {
        guard.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_public_addresses_pass() {
        let guard = Guard::default();
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!allows(&guard, address), "{address} passes");
        }
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(allows(&guard, address), "{address} is refused");
        }
    }

    #[test]
    fn only_listed_blocks_pass() {
        let guard = Guard::new(&["127.0.0.0/8".parse().unwrap(), "fd00::/16".parse().unwrap()]);
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "fd00::7"] {
            assert!(allows(&guard, address), "{address} is refused");
        }
        for address in ["10.0.0.1", "fd01::7", "::1"] {
            assert!(!allows(&guard, address), "{address} passes");
        }
    }

    proptest! {
        #[test]
        fn mapped_address_is_checked_as_ipv4(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let guard = Guard::default();
            prop_assert_eq!(guard.check(v4.into()), guard.check(v4.to_ipv6_mapped().into()));
        }
    }
}
