//! The dial policy: which addresses may be connected to, judged after resolution and before connecting.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A network: an address and how many leading bits of it count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    bits: u8,
}

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network; write an address with a prefix length, such as \"10.0.0.0/8\" or \"fd00::/8\"")]
pub struct BadCidr(pub String);

impl Cidr {
    /// Whether the address lies in the network. IPv4 and IPv6 never contain each other.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }

    /// Whether the network is exactly this one address.
    fn is_only(&self, address: IpAddr) -> bool {
        self.network == address && self.bits == if address.is_ipv4() { 32 } else { 128 }
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    /// Reads `10.0.0.0/8`, or a bare address as a network of one.
    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let bad = || BadCidr(text.chars().take(64).collect());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            // `parse` would take "+8".
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().map_err(|_| bad())?,
            Some(_) => return Err(bad()),
            None => most,
        };
        if bits > most { Err(bad()) } else { Ok(Self { network, bits }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

/// Which rule forbids an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `networkPolicy.deny` of VitalsConfig lists it.
    #[error("{0} is denied by networkPolicy.deny; remove the entry there if this target is meant")]
    Configured(IpAddr),
    /// The machine itself.
    #[error(
        "{0} is a loopback address, which is only reachable in `vitals run`; add it to networkPolicy.allow to permit it"
    )]
    Loopback(IpAddr),
    /// `0.0.0.0` and its kin, which reach the machine itself.
    #[error("{0} is not an address of any host; name the host's own address")]
    Unspecified(IpAddr),
    /// The neighbours on the wire, among them most metadata services.
    #[error("{0} is a link-local address; add it to networkPolicy.allow to permit it")]
    LinkLocal(IpAddr),
    /// A cloud's metadata service, which hands out credentials.
    #[error("{0} is a cloud metadata service; it is only reachable if networkPolicy.allow names exactly this address")]
    Metadata(IpAddr),
    /// Many hosts at once.
    #[error("{0} is a multicast, broadcast or reserved address; name one host's own address")]
    Multicast(IpAddr),
    /// The API server, or a port of the cluster's own machinery.
    #[error(
        "{0}:{1} belongs to the cluster's own machinery (API server or kubelet); add the address to networkPolicy.allow to permit it"
    )]
    ClusterPort(IpAddr, u16),
    /// `2130706433`, `0x7f.1`, `0177.0.0.1`: spellings that some resolvers read as addresses.
    #[error("this spelling of an address is not accepted; write four decimal numbers such as 192.0.2.1")]
    Spelling,
}

/// Which addresses may be dialled.
///
/// `deny` beats `allow`, `allow` beats the defaults. Metadata services are opened only by an allow entry that names
/// exactly that address, multicast and unspecified addresses by none.
#[derive(Clone, Debug)]
pub struct DialPolicy {
    /// Networks that may be dialled although a default forbids it.
    pub allow: Vec<Cidr>,
    /// Networks that may not be dialled.
    pub deny: Vec<Cidr>,
    /// Whether loopback may be dialled: `run` and the terminal client, where the caller owns the machine.
    pub allow_loopback: bool,
    /// Ports that may not be dialled on any address.
    pub deny_ports: Vec<u16>,
    /// Address and port pairs that may not be dialled: the API server's Service.
    pub deny_endpoints: Vec<SocketAddr>,
}

/// API server (6443) and kubelet (10250, its read-only sibling 10255).
pub const CLUSTER_PORTS: [u16; 3] = [6443, 10250, 10255];

impl Default for DialPolicy {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            allow_loopback: false,
            deny_ports: CLUSTER_PORTS.to_vec(),
            deny_endpoints: Vec::new(),
        }
    }
}

/// Metadata services outside the link-local networks, and those inside that deserve the clearer message.
const METADATA_V4: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Azure, Google, Oracle, OpenStack, DigitalOcean …
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS task credentials
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS Pod Identity
    Ipv4Addr::new(168, 63, 129, 16),   // Azure wire server
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle, older instances
];
const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),      // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),       // AWS EKS Pod Identity
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),       // Google
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // Oracle
];

impl DialPolicy {
    /// The policy of `run` and of the terminal client: loopback is permitted.
    #[must_use]
    pub fn local() -> Self {
        Self { allow_loopback: true, ..Self::default() }
    }

    /// Judges one address. IPv6 addresses that carry an IPv4 address are judged by both.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn judge(&self, address: IpAddr, port: u16) -> Result<(), Refusal> {
        self.judge_one(address, port)?;
        match address {
            IpAddr::V6(v6) => embedded(v6).map_or(Ok(()), |v4| self.judge_one(IpAddr::V4(v4), port)),
            IpAddr::V4(_) => Ok(()),
        }
    }

    fn judge_one(&self, address: IpAddr, port: u16) -> Result<(), Refusal> {
        if self.deny.iter().any(|cidr| cidr.contains(address)) {
            return Err(Refusal::Configured(address));
        }
        if is_metadata(address) {
            let named = self.allow.iter().any(|cidr| cidr.is_only(address));
            return if named { Ok(()) } else { Err(Refusal::Metadata(address)) };
        }
        if is_unspecified(address) {
            return Err(Refusal::Unspecified(address));
        }
        if is_multicast(address) {
            return Err(Refusal::Multicast(address));
        }
        if self.allow.iter().any(|cidr| cidr.contains(address)) {
            return Ok(());
        }
        if address.is_loopback() && !self.allow_loopback {
            return Err(Refusal::Loopback(address));
        }
        if is_link_local(address) {
            return Err(Refusal::LinkLocal(address));
        }
        if self.deny_ports.contains(&port) || self.deny_endpoints.contains(&SocketAddr::new(address, port)) {
            return Err(Refusal::ClusterPort(address, port));
        }
        Ok(())
    }
}

fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => METADATA_V6.contains(&v6),
    }
}

/// All of 0.0.0.0/8: Linux connects 0.0.0.0 to the machine itself.
fn is_unspecified(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unspecified(),
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// 224.0.0.0/4 and the reserved 240.0.0.0/4 with the broadcast address; ff00::/8.
fn is_multicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] >= 224,
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// The IPv4 address that an IPv6 address leads to, for every scheme that a kernel or a gateway may translate.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let pair = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match s {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        // Mapped ::ffff:a.b.c.d, compatible ::a.b.c.d, translated ::ffff:0:a.b.c.d.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => pair(high, low),
        // NAT64: the well-known prefix 64:ff9b::/96 and the local-use prefix 64:ff9b:1::/48.
        [0x64, 0xff9b, 0 | 1, _, _, _, high, low] => pair(high, low),
        // 6to4 2002:a.b.c.d::/48.
        [0x2002, high, low, ..] => pair(high, low),
        // Teredo 2001::/32: the client's address, inverted.
        [0x2001, 0, _, _, _, _, high, low] => pair(!high, !low),
        // ISATAP: interface identifier [0200:]5efe:a.b.c.d under any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => pair(high, low),
        _ => None,
    }
}

/// A host as an address, if it is one; a refusal if it is a spelling that only some resolvers read as one.
///
/// The rule is WHATWG's: a host whose last label is a number is an address or an error, never a name.
///
/// # Errors
/// [`Refusal::Spelling`].
pub fn literal(host: &str) -> Result<Option<IpAddr>, Refusal> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Some(address));
    }
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_number = match hex {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()),
    };
    if is_number || host.contains(':') { Err(Refusal::Spelling) } else { Ok(None) }
}

#[cfg(test)]
mod tests;
