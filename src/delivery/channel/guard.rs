//! Which addresses a page may be sent to: those of the open Internet, and what `delivery.allow_list` opens (SPEC 7).

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is not of the open Internet: this host, private and shared networks, links, documentation, benchmarks, multicast,
/// what is reserved (IANA's special-purpose registries).
const INTERNAL: [&str; 30] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    // A public address, and yet the metadata service of a cloud (Azure); the others' are link-local, shared or unique local.
    "168.63.129.16/32",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/32",
    "2001:2::/48",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

#[derive(Clone, Debug)]
pub struct Guard {
    internal: Vec<IpNet>,
    allowed: Vec<IpNet>,
}

impl Guard {
    /// `allow_list` holds CIDR blocks; the first that is none is the error.
    pub fn new(allow_list: &[String]) -> Result<Guard, String> {
        let read = |block: &str| block.parse::<IpNet>().map_err(|_| block.to_owned());
        Ok(Guard {
            internal: INTERNAL.iter().map(|block| read(block)).collect::<Result<_, _>>()?,
            allowed: allow_list.iter().map(|block| read(block)).collect::<Result<_, _>>()?,
        })
    }

    /// May something be sent there? An IPv6 address that carries an IPv4 one is judged by both.
    pub fn allows(&self, address: IpAddr) -> bool {
        let carried = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => carried(address).map(IpAddr::V4),
        };
        let all = [Some(address), carried];
        let mut all = all.iter().flatten();
        let within = |blocks: &[IpNet], address: &IpAddr| blocks.iter().any(|block| block.contains(address));
        if all.clone().any(|address| within(&self.allowed, address)) {
            return true;
        }
        !all.any(|address| within(&self.internal, address))
    }
}

/// The IPv4 address in a mapped, compatible, translated (NAT64) or 6to4 one.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match parts {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        // `::` and `::1` are their own.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allow_list: &[&str], address: &str) -> bool {
        let blocks: Vec<String> = allow_list.iter().map(|block| (*block).to_owned()).collect();
        Guard::new(&blocks).unwrap().allows(address.parse().unwrap())
    }

    #[test]
    fn the_open_internet_passes() {
        for address in
            ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "2002:101:101::1"]
        {
            assert!(allows(&[], address), "{address}");
        }
    }

    #[test]
    fn what_is_internal_does_not_in_any_spelling() {
        for address in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "fd00:ec2::254",
            "fc00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!allows(&[], address), "{address}");
        }
    }

    #[test]
    fn the_allow_list_opens_its_blocks_alone() {
        assert!(allows(&["127.0.0.1/32"], "127.0.0.1"));
        assert!(allows(&["127.0.0.1/32"], "::ffff:127.0.0.1"));
        assert!(!allows(&["127.0.0.1/32"], "127.0.0.2"));
        assert!(!allows(&["127.0.0.1/32"], "::1"));
        assert!(allows(&["10.1.0.0/16", "fd00::/8"], "10.1.2.3"));
        assert!(allows(&["10.1.0.0/16", "fd00::/8"], "fd12::1"));
        assert!(!allows(&["10.1.0.0/16"], "10.2.0.1"));
        assert_eq!(Guard::new(&["10.0.0.0/40".to_owned()]).unwrap_err(), "10.0.0.0/40");
    }
}
