//! Addresses: whose a request is, who may send, and where nothing is ever delivered to.
//!
//! An address is believed only if it comes from the connection, or from a proxy that the operator
//! named. Everything is compared in its [`canonical`] form, as `::ffff:192.0.2.1` and `192.0.2.1` are
//! the same host.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use http::{HeaderName, header::FORWARDED};
use ipnet::{IpNet, Ipv4Net};

use crate::{
    limits,
    request::{Head, Single},
};

/// The address of the client that sent a request over a connection from `peer`, canonical.
///
/// Headers are looked at only if `peer` is a trusted proxy, and then only the one that the operator
/// named. Its entries are read from the right, the last header line first: each was written by the
/// machine to the left of which the next stands, so the first that is no trusted proxy is the client,
/// and what stands further left was written by strangers.
///
/// Where the chain breaks off, the last trusted hop stands in for the client: when the header is absent,
/// an entry is not an address (`unknown`, `_hidden`, junk, an IPv6 zone), a single-value header is
/// repeated or holds a list, or [`limits::HOPS_MAX`] entries led nowhere. So the result is always the address of
/// a machine that is really on the path, and never one that a stranger chose.
pub fn client_address(peer: IpAddr, head: &Head<'_>, proxies: &TrustedProxies) -> IpAddr {
    let peer = canonical(peer);
    if !proxies.cidrs.contains(peer) {
        return peer;
    }
    match &proxies.header {
        ForwardedHeader::XForwardedFor => {
            let lines = head.headers.get_all("x-forwarded-for").iter().rev();
            let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
            walk(peer, entries.map(|entry| (entry, parse_node(entry))), &proxies.cidrs)
        }
        ForwardedHeader::Forwarded => {
            let lines = head.headers.get_all(FORWARDED).iter().rev();
            let entries = lines.flat_map(|line| ElementsFromRight(Some(line.as_bytes())));
            let nodes = entries
                .map(|entry| (entry, forwarded_for(entry).and_then(|node| parse_node(&node))));
            walk(peer, nodes, &proxies.cidrs)
        }
        ForwardedHeader::Single(name) => match head.single(name) {
            Single::Once(value) => parse_node(value).unwrap_or(peer),
            Single::Absent | Single::Repeated => peer,
        },
    }
}

fn walk<'a>(
    peer: IpAddr,
    entries: impl Iterator<Item = (&'a [u8], Option<IpAddr>)>,
    trusted: &Cidrs,
) -> IpAddr {
    let mut last = peer;
    for (entry, address) in entries.take(limits::HOPS_MAX) {
        match address {
            Some(address) if trusted.contains(address) => last = address,
            Some(address) => return address,
            // RFC 9110 lets lists have empty elements.
            None if entry.trim_ascii().is_empty() => {}
            None => return last,
        }
    }
    last
}

/// The proxies that are believed, and the header that they are believed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    cidrs: Cidrs,
    header: ForwardedHeader,
}

impl TrustedProxies {
    /// Believes `header` from machines in `cidrs`, who must set it on every request themselves.
    pub fn new(cidrs: Cidrs, header: ForwardedHeader) -> Result<Self, TrustsEveryone> {
        if cidrs.0.iter().any(|net| net.prefix_len() == 0) {
            return Err(TrustsEveryone);
        }
        Ok(Self { cidrs, header })
    }

    /// Whether `peer` is one of the machines that are believed.
    pub fn contains(&self, peer: IpAddr) -> bool {
        self.cidrs.contains(peer)
    }

    /// Believes nobody: the client is who opened the connection.
    pub const fn none() -> Self {
        Self { cidrs: Cidrs(Vec::new()), header: ForwardedHeader::XForwardedFor }
    }
}

/// The same as [`TrustedProxies::none`].
impl Default for TrustedProxies {
    fn default() -> Self {
        Self::none()
    }
}

/// A list of trusted proxies contains a whole address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "trusting every address as a proxy lets every sender choose its own address; \
     name the proxies' networks, such as 10.0.0.0/8"
)]
pub struct TrustsEveryone;

/// The header in which trusted proxies say who their client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: each proxy appends its client's address.
    XForwardedFor,
    /// `Forwarded` of RFC 7239: each proxy appends an element with a `for` parameter.
    Forwarded,
    /// A header with one address, which the proxy overwrites, such as `CF-Connecting-IP` or `X-Real-IP`.
    Single(HeaderName),
}

/// Reads a header's name: the two known lists by theirs, any other as [`Self::Single`].
impl FromStr for ForwardedHeader {
    type Err = http::header::InvalidHeaderName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let name: HeaderName = name.parse()?;
        Ok(match name.as_str() {
            "x-forwarded-for" => Self::XForwardedFor,
            "forwarded" => Self::Forwarded,
            _ => Self::Single(name),
        })
    }
}

/// An address as one of these: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`.
fn parse_node(node: &[u8]) -> Option<IpAddr> {
    let node = std::str::from_utf8(node.trim_ascii()).ok()?;
    let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']'));
    let address = match bare {
        Some(bare) => IpAddr::V6(bare.parse().ok()?),
        None => {
            node.parse().or_else(|_| node.parse().map(|socket: SocketAddr| socket.ip())).ok()?
        }
    };
    // `SocketAddr` takes `[fe80::1%2]:80`; a zone means something to the proxy only.
    (!node.contains('%')).then(|| canonical(address))
}

/// The elements of a `Forwarded` line, the last one first.
///
/// Reading from the left would let a stranger's open quote swallow what trusted proxies appended.
/// From the right, their part is well-formed, and what follows it is never looked at.
struct ElementsFromRight<'a>(Option<&'a [u8]>);

impl<'a> Iterator for ElementsFromRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.0.take()?;
        let mut quoted = false;
        for (at, byte) in line.iter().enumerate().rev() {
            let (before, rest) = line.split_at_checked(at)?;
            match byte {
                b'"' if !ends_in_escape(before) => quoted = !quoted,
                b',' if !quoted => {
                    self.0 = Some(before);
                    return rest.get(1..);
                }
                _ => {}
            }
        }
        Some(line)
    }
}

/// Whether the byte after these is escaped: an odd number of backslashes precedes it.
fn ends_in_escape(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The node of the one `for` parameter of a `Forwarded` element.
fn forwarded_for(element: &[u8]) -> Option<Vec<u8>> {
    let mut node = None;
    let mut rest = element;
    loop {
        let (pair, tail) = cut_at_semicolon(rest);
        if let Some(at) = pair.iter().position(|byte| *byte == b'=') {
            let (name, value) = pair.split_at_checked(at)?;
            if name.trim_ascii().eq_ignore_ascii_case(b"for")
                && node.replace(unquote(value.get(1..)?.trim_ascii())?).is_some()
            {
                return None;
            }
        }
        match tail {
            Some(tail) => rest = tail,
            None => return node,
        }
    }
}

fn cut_at_semicolon(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut quoted = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'"' if !ends_in_escape(text.get(..at).unwrap_or_default()) => quoted = !quoted,
            b';' if !quoted => {
                return (text.get(..at).unwrap_or_default(), text.get(at + 1..));
            }
            _ => {}
        }
    }
    (text, None)
}

/// A token as it is; a quoted string without quotes. No address needs an escape, so there are none here.
fn unquote(value: &[u8]) -> Option<Vec<u8>> {
    let plain = match value {
        [b'"', inner @ .., b'"'] => inner,
        token => token,
    };
    (!plain.contains(&b'"') && !plain.contains(&b'\\')).then(|| plain.to_vec())
}

/// The form in which addresses are compared and counted.
///
/// Becomes IPv4 what is an IPv4 host in another spelling: IPv4-mapped addresses (`::ffff:a.b.c.d`, what a
/// dual-stack socket reports) and those of the well-known NAT64 prefix (`64:ff9b::a.b.c.d`, what an
/// IPv6-only network sees of IPv4 clients). Otherwise all IPv4 clients would share one [`AddressGroup`],
/// and miss every allow-list.
///
/// Stays IPv6 what only contains an IPv4 address: 6to4, Teredo and IPv4-compatible addresses, and local
/// NAT64 prefixes. Their packets come from an IPv6 host that is not the one named in them, so an
/// allow-list for IPv4 does not cover them.
pub fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.segments() {
            [0, 0, 0, 0, 0, 0xFFFF, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => {
                IpAddr::V4(v4(high, low))
            }
            _ => address,
        },
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

/// Addresses that count as one client: a single IPv4 address, or an IPv6 /64, which is the least that
/// anyone is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressGroup(Group);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Group {
    V4(u32),
    V6(u64),
}

impl AddressGroup {
    /// The group of an address, after [`canonical`].
    pub fn of(address: IpAddr) -> Self {
        Self(match canonical(address) {
            IpAddr::V4(v4) => Group::V4(v4.to_bits()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                let join = |high: u64, low: u16| high << 16 | u64::from(low);
                Group::V6([a, b, c, d].into_iter().fold(0, join))
            }
        })
    }

    /// The address bits that the group has in common, for hashing.
    pub(crate) const fn bits(self) -> u64 {
        match self.0 {
            Group::V4(bits) => bits as u64,
            Group::V6(bits) => bits,
        }
    }
}

/// A list of networks, such as the addresses that a provider sends from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cidrs(Vec<IpNet>);

impl Cidrs {
    /// Reads networks (`192.0.2.0/24`, `2001:db8::/32`) and bare addresses.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NotACidr> {
        texts.into_iter().map(parse_cidr).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the [`canonical`] form of `address` is in one of the networks.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        self.0.iter().any(|net| net.contains(&address))
    }

    /// Whether there is no network at all, so that nothing is contained.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotACidr {
    /// It is neither an address nor one with a prefix length.
    #[error("{0:?} is not an address or network, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")]
    Malformed(Box<str>),
    /// Its address has bits beyond the prefix: either the one or the other is a mistake.
    #[error("{written:?} has bits set beyond its prefix; did you mean {meant}?")]
    HostBits {
        /// What was written.
        written: Box<str>,
        /// The network that contains it.
        meant: IpNet,
    },
}

fn parse_cidr(text: &str) -> Result<IpNet, NotACidr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(canonical(address).into());
    }
    let malformed = || NotACidr::Malformed(text.into());
    // Not `IpNet`'s own parser: it takes 010.0.0.0 for 10.0.0.0, where others see octal.
    let (address, prefix_len) = text.split_once('/').ok_or_else(malformed)?;
    if !prefix_len.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    let address: IpAddr = address.parse().map_err(|_| malformed())?;
    let prefix_len = prefix_len.parse().map_err(|_| malformed())?;
    let net = IpNet::new(address, prefix_len).map_err(|_| malformed())?;
    if net.trunc() != net {
        return Err(NotACidr::HostBits { written: text.into(), meant: net.trunc() });
    }
    // `contains` compares canonical addresses, so a network of mapped ones must be canonical too.
    match (canonical(net.addr()), net.prefix_len().checked_sub(96)) {
        (IpAddr::V4(v4), Some(prefix_len)) if net.addr().is_ipv6() => {
            Ok(Ipv4Net::new_assert(v4, prefix_len).into())
        }
        _ => Ok(net),
    }
}

/// Why nothing is ever delivered to `address`; `None` if it may be.
///
/// Refused are link-local addresses, the metadata services of clouds, unspecified, multicast and
/// broadcast addresses, in each spelling that a stack or a gateway might turn into one of them (mapped,
/// translated, compatible, NAT64, 6to4, Teredo, ISATAP). Loopback and private networks are allowed: that
/// is where applications are.
///
/// To be asked about the address that is connected to, after name resolution.
pub fn is_forbidden_destination(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => is_forbidden_v4(v4),
        IpAddr::V6(v6) => is_forbidden_v6(v6)
            .or_else(|| embedded(v6).into_iter().flatten().find_map(is_forbidden_v4)),
    }
}

const METADATA: &str = "a cloud's metadata service";
const LINK_LOCAL: &str = "a link-local address";
const UNSPECIFIED: &str = "an unspecified address";
const MULTICAST: &str = "a multicast address";
const BROADCAST: &str = "the broadcast address";

fn is_forbidden_v4(v4: Ipv4Addr) -> Option<&'static str> {
    match v4.octets() {
        // AWS and nearly all others; ECS; EKS; Alibaba; Azure; Oracle.
        [169, 254, 169, 254]
        | [169, 254, 170, 2 | 23]
        | [100, 100, 100, 200]
        | [168, 63, 129, 16]
        | [192, 0, 0, 192] => Some(METADATA),
        [169, 254, ..] => Some(LINK_LOCAL),
        // Linux connects to itself on 0.0.0.0, and some stacks on all of 0.0.0.0/8.
        [0, ..] => Some(UNSPECIFIED),
        [224..=239, ..] => Some(MULTICAST),
        [255, 255, 255, 255] => Some(BROADCAST),
        _ => None,
    }
}

fn is_forbidden_v6(v6: Ipv6Addr) -> Option<&'static str> {
    match v6.segments() {
        // AWS instance services; Google; Scaleway; OpenStack and Azure.
        [0xFD00, 0xEC2, ..]
        | [0xFD20, 0xCE, 0, 0, 0, 0, 0, 0x254]
        | [0xFD00, 0x42, 0, 0, 0, 0, 0, 0x42]
        | [0xFE80, 0, 0, 0, 0, 0, 0xA9FE, 0xA9FE] => Some(METADATA),
        [0xFE80..=0xFEBF, ..] => Some(LINK_LOCAL),
        [0xFF00..=0xFFFF, ..] => Some(MULTICAST),
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(UNSPECIFIED),
        _ => None,
    }
}

/// The IPv4 addresses that a packet to `v6` might end at.
fn embedded(v6: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => [None, None],
        // IPv4-compatible, IPv4-mapped, IPv4-translated (RFC 2765), NAT64.
        [0, 0, 0, 0, 0, 0 | 0xFFFF, high, low]
        | [0, 0, 0, 0, 0xFFFF, 0, high, low]
        | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => [Some(v4(high, low)), None],
        // Local NAT64: as a /96 at the end, as a /48 around the octet that RFC 6052 leaves out. The
        // reading that is not meant mostly gives 0.x.y.z, which says nothing about the one that is.
        [0x64, 0xFF9B, 1, high, middle, low, end_high, end_low] => {
            [v4(end_high, end_low), v4(high, middle << 8 | low >> 8)]
                .map(|reading| Some(reading).filter(|v4| v4.octets()[0] != 0))
        }
        // 6to4.
        [0x2002, high, low, ..] => [Some(v4(high, low)), None],
        // Teredo: the server, and the client with all bits inverted.
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            [Some(v4(high, low)), Some(v4(!client_high, !client_low))]
        }
        // ISATAP.
        [_, _, _, _, 0 | 0x200, 0x5EFE, high, low] => [Some(v4(high, low)), None],
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};
    use proptest::prelude::*;

    use super::*;

    const TRUSTED: [&str; 3] = ["10.0.0.0/8", "2001:db8:ffff::/48", "203.0.113.9"];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn client(peer: &str, header: &str, lines: &[(&str, &[u8])]) -> IpAddr {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let head = Head { method: &Method::POST, target: "/hooks/x", headers: &headers };
        let cidrs = Cidrs::parse(TRUSTED).unwrap();
        let proxies = TrustedProxies::new(cidrs, header.parse().unwrap()).unwrap();
        client_address(ip(peer), &head, &proxies)
    }

    /// What a request from the trusted proxy 10.0.0.1 counts as, given these lines of one header.
    fn check(header: &str, lines: &[&str], expected: &str) {
        let named: Vec<_> = lines.iter().map(|line| (header, line.as_bytes())).collect();
        assert_eq!(client("10.0.0.1", header, &named), ip(expected), "{header}: {lines:?}");
    }

    #[test]
    fn headers_of_a_peer_that_is_no_trusted_proxy_are_ignored() {
        for header in ["x-forwarded-for", "forwarded", "cf-connecting-ip", "x-real-ip"] {
            let value: &[u8] =
                if header == "forwarded" { b"for=198.51.100.7" } else { b"198.51.100.7" };
            assert_eq!(client("192.0.2.1", header, &[(header, value)]), ip("192.0.2.1"));
            assert_eq!(client("::ffff:192.0.2.1", header, &[(header, value)]), ip("192.0.2.1"));
            assert_eq!(client("10.0.0.1", header, &[(header, value)]), ip("198.51.100.7"));
            assert_eq!(client("::ffff:10.0.0.1", header, &[(header, value)]), ip("198.51.100.7"));
        }
        let head = Head { method: &Method::POST, target: "/", headers: &HeaderMap::new() };
        assert_eq!(client_address(ip("10.0.0.1"), &head, &TrustedProxies::none()), ip("10.0.0.1"));
    }

    #[test]
    fn only_the_configured_header_is_read() {
        let all: [(&str, &[u8]); 4] = [
            ("x-forwarded-for", b"198.51.100.1"),
            ("forwarded", b"for=198.51.100.2"),
            ("cf-connecting-ip", b"198.51.100.3"),
            ("x-real-ip", b"198.51.100.4"),
        ];
        assert_eq!(client("10.0.0.1", "X-Forwarded-For", &all), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.1", "Forwarded", &all), ip("198.51.100.2"));
        assert_eq!(client("10.0.0.1", "CF-Connecting-IP", &all), ip("198.51.100.3"));
        assert_eq!(client("10.0.0.1", "Fly-Client-IP", &all), ip("10.0.0.1"));
    }

    #[test]
    fn the_rightmost_untrusted_entry_is_the_client() {
        let check = |lines: &[&str], expected| check("x-forwarded-for", lines, expected);
        check(&["198.51.100.7"], "198.51.100.7");
        check(&["54.187.174.169, 198.51.100.7"], "198.51.100.7");
        check(&["54.187.174.169, 198.51.100.7, 10.9.9.9, 203.0.113.9"], "198.51.100.7");
        check(&["54.187.174.169", "198.51.100.7,10.2.3.4"], "198.51.100.7");
        check(&["54.187.174.169, 198.51.100.7", "10.2.3.4"], "198.51.100.7");
        check(&["198.51.100.7, ::ffff:10.2.3.4, 2001:db8:ffff::1"], "198.51.100.7");
        check(&["::ffff:198.51.100.7"], "198.51.100.7");
        check(&[" 198.51.100.7\t,, ,"], "198.51.100.7");
        check(&["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check(&[], "10.0.0.1");
    }

    #[test]
    fn entries_are_read_with_ports_and_brackets() {
        for (entry, expected) in [
            ("198.51.100.7:4711", "198.51.100.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:DB8::7]:4711", "2001:db8::7"),
            ("[::ffff:198.51.100.7]:1", "198.51.100.7"),
        ] {
            check("x-forwarded-for", &[&format!("54.187.174.169, {entry}, 10.2.3.4")], expected);
            check("forwarded", &[&format!("for=54.187.174.169, for=\"{entry}\"")], expected);
            check("cf-connecting-ip", &[entry], expected);
        }
    }

    #[test]
    fn behind_an_entry_that_is_no_address_the_last_trusted_hop_stands_in() {
        for junk in [
            "unknown",
            "_hidden",
            "_SEVKISEK",
            "fe80::1%eth0",
            "[fe80::1%25eth0]:80",
            "[fe80::1%2]:80",
            "[2001:db8::7",
            "2001:db8::7]",
            "[198.51.100.7]",
            "198.51.100.7:",
            "198.51.100.7:99999",
            "198.51.100.7:_x",
            "0177.0.0.1",
            "0x7f000001",
            "2130706433",
            "198.51.100",
            "198.51.100.7.1",
            "198.51.100.7 198.51.100.8",
            "localhost",
            "\u{ff11}98.51.100.7",
            "<script>",
            "\"198.51.100.7\"x",
        ] {
            check("x-forwarded-for", &[&format!("54.187.174.169, {junk}, 10.2.3.4")], "10.2.3.4");
            check("x-forwarded-for", &[&format!("54.187.174.169, {junk}")], "10.0.0.1");
            check(
                "forwarded",
                &[&format!("for=54.187.174.169, for={junk}, for=10.2.3.4")],
                "10.2.3.4",
            );
            check("cf-connecting-ip", &[junk], "10.0.0.1");
        }
        let bytes: &[u8] = b"54.187.174.169, \xff\xfe";
        assert_eq!(
            client("10.0.0.1", "x-forwarded-for", &[("x-forwarded-for", bytes)]),
            ip("10.0.0.1")
        );
    }

    #[test]
    fn a_single_value_header_holds_one_value() {
        check("cf-connecting-ip", &["198.51.100.7", "198.51.100.7"], "10.0.0.1");
        check("cf-connecting-ip", &["198.51.100.7, 198.51.100.8"], "10.0.0.1");
        check("cf-connecting-ip", &[""], "10.0.0.1");
        check("cf-connecting-ip", &[], "10.0.0.1");
    }

    #[test]
    fn endless_chains_end() {
        let hops = |count: usize| {
            let mut entries = vec!["54.187.174.169"];
            entries.extend(std::iter::repeat_n("10.2.3.4", count));
            entries.join(",")
        };
        check("x-forwarded-for", &[&hops(limits::HOPS_MAX - 1)], "54.187.174.169");
        check("x-forwarded-for", &[&hops(limits::HOPS_MAX)], "10.2.3.4");
        check("x-forwarded-for", &[&hops(1_000)], "10.2.3.4");
        check("x-forwarded-for", &[&format!("54.187.174.169{}", ",".repeat(60_000))], "10.0.0.1");
        check("x-forwarded-for", &["10.2.3.4"; 1_000], "10.2.3.4");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_says() {
        let check = |line: &str, expected| check("forwarded", &[line], expected);
        check("for=198.51.100.7", "198.51.100.7");
        check("FOR=198.51.100.7;Proto=https;by=203.0.113.43", "198.51.100.7");
        check("proto=https; by=\"[2001:db8::1]:1\" ; for = \"198.51.100.7:4711\"", "198.51.100.7");
        check(
            "for=54.187.174.169, for=198.51.100.7;host=\"a,b;for=1.1.1.1\", for=10.2.3.4",
            "198.51.100.7",
        );
        check(r#"for=198.51.100.7;host="a\",for=1.1.1.1;\\""#, "198.51.100.7");
        // What the stranger sent stands left of what the proxy appended, whatever quotes it opens.
        check("for=\"54.187.174.169, for=198.51.100.7", "198.51.100.7");
        check("for=54.187.174.169;x=\"\\, for=198.51.100.7", "198.51.100.7");
        check("\", for=54.187.174.169, \", for=198.51.100.7", "198.51.100.7");
        // No address, or more than one, in the element that counts.
        check("for=54.187.174.169, proto=https", "10.0.0.1");
        check("for=54.187.174.169, for=198.51.100.7;for=198.51.100.8", "10.0.0.1");
        check("for=54.187.174.169, for", "10.0.0.1");
        check("for=54.187.174.169, for=", "10.0.0.1");
        check("for=54.187.174.169, for=\"", "10.0.0.1");
        check("", "10.0.0.1");
    }

    #[test]
    fn ipv4_has_one_canonical_form_and_tunnels_keep_theirs() {
        for (written, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::FFFF:c000:201", "192.0.2.1"),
            ("64:ff9b::192.0.2.1", "192.0.2.1"),
            ("64:ff9b:1::192.0.2.1", "64:ff9b:1::c000:201"),
            ("2002:c000:201::1", "2002:c000:201::1"),
            ("::192.0.2.1", "::c000:201"),
            ("::1", "::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(canonical(ip(written)), ip(expected), "{written}");
        }
    }

    #[test]
    fn a_group_is_one_ipv4_address_or_one_ipv6_network_of_64_bits() {
        let group = |text| AddressGroup::of(ip(text));
        assert_eq!(group("2001:db8:1:2::1"), group("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(group("2001:db8:1:2::1"), group("2001:db8:1:3::1"));
        assert_ne!(group("192.0.2.1"), group("192.0.2.2"));
        assert_ne!(group("::ffff:192.0.2.1"), group("::ffff:192.0.2.2"));
        assert_ne!(group("64:ff9b::192.0.2.1"), group("64:ff9b::192.0.2.2"));
        assert_eq!(group("::ffff:192.0.2.1"), group("192.0.2.1"));
        assert_ne!(group("0.0.0.1"), group("::1:0:0:0:0"));
    }

    #[test]
    fn an_allow_list_takes_networks_and_addresses_in_any_spelling() {
        let list = Cidrs::parse([
            "192.0.2.0/24",
            "198.51.100.7",
            "::ffff:203.0.113.0/120",
            "::ffff:203.0.114.1",
            "2001:db8::/32",
        ]);
        let list = list.unwrap();
        for inside in [
            "192.0.2.255",
            "::ffff:192.0.2.1",
            "64:ff9b::192.0.2.1",
            "198.51.100.7",
            "203.0.113.200",
            "203.0.114.1",
            "2001:db8:ffff::1",
        ] {
            assert!(list.contains(ip(inside)), "{inside}");
        }
        for outside in [
            "192.0.3.1",
            "198.51.100.8",
            "203.0.114.2",
            "2001:db9::1",
            "2002:c000:201::1",
            "::192.0.2.1",
            "2001:0:c000:201::1",
        ] {
            assert!(!list.contains(ip(outside)), "{outside}");
        }
        assert!(!Cidrs::default().contains(ip("192.0.2.1")) && Cidrs::default().is_empty());
    }

    #[test]
    fn what_is_no_network_is_refused_with_a_hint() {
        for text in [
            "",
            "x",
            "10.0.0.0/33",
            "10.0.0/8",
            "010.0.0.0/8",
            "1.2.3.4/",
            "::/129",
            " 10.0.0.0/8",
            "fe80::1%1",
        ] {
            assert_eq!(Cidrs::parse([text]), Err(NotACidr::Malformed(text.into())));
        }
        assert_eq!(
            Cidrs::parse(["10.0.0.1/8"]).unwrap_err().to_string(),
            "\"10.0.0.1/8\" has bits set beyond its prefix; did you mean 10.0.0.0/8?"
        );
        for everyone in ["0.0.0.0/0", "::/0", "::ffff:0:0/96"] {
            let cidrs = Cidrs::parse(["10.0.0.0/8", everyone]).unwrap();
            assert_eq!(
                TrustedProxies::new(cidrs, ForwardedHeader::XForwardedFor).unwrap_err(),
                TrustsEveryone
            );
        }
    }

    #[test]
    fn nothing_is_delivered_to_metadata_link_local_or_multicast_in_any_spelling() {
        for (address, reason) in [
            ("169.254.169.254", METADATA),
            ("169.254.170.2", METADATA),
            ("100.100.100.200", METADATA),
            ("168.63.129.16", METADATA),
            ("fd00:ec2::254", METADATA),
            ("fd20:ce::254", METADATA),
            ("fe80::a9fe:a9fe", METADATA),
            ("::ffff:169.254.169.254", METADATA),
            ("::ffff:0:169.254.169.254", METADATA),
            ("::169.254.169.254", METADATA),
            ("64:ff9b::169.254.169.254", METADATA),
            ("64:ff9b:1::169.254.169.254", METADATA),
            ("64:ff9b:1:a9fe:a9:fe00::", METADATA),
            ("2002:a9fe:a9fe::1", METADATA),
            ("2001:0:a9fe:a9fe::1", METADATA),
            ("2001:0:c000:22d::5601:5601", METADATA),
            ("2001:db8::5efe:169.254.169.254", METADATA),
            ("169.254.0.1", LINK_LOCAL),
            ("fe80::1", LINK_LOCAL),
            ("febf::1", LINK_LOCAL),
            ("::ffff:169.254.1.1", LINK_LOCAL),
            ("0.0.0.0", UNSPECIFIED),
            ("0.1.2.3", UNSPECIFIED),
            ("::", UNSPECIFIED),
            ("::ffff:0.0.0.0", UNSPECIFIED),
            ("224.0.0.1", MULTICAST),
            ("239.255.255.250", MULTICAST),
            ("ff02::1", MULTICAST),
            ("255.255.255.255", BROADCAST),
        ] {
            assert_eq!(is_forbidden_destination(ip(address)), Some(reason), "{address}");
        }
        for address in [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "fd00::1",
            "fc00::1",
            "100.64.0.1",
            "192.0.2.1",
            "2001:db8::1",
            "2002:c000:201::1",
            "64:ff9b::192.0.2.1",
            "168.63.129.17",
            "1.1.1.1",
        ] {
            assert_eq!(is_forbidden_destination(ip(address)), None, "{address}");
        }
    }

    proptest! {
        #[test]
        fn a_stranger_cannot_choose_the_client_address(
            sent in r#"([0-9a-f.:,;="\\\[\]% ]|for=|10\.0\.0\.2|unknown){0,60}"#,
            other in r"[ -~]{0,60}",
        ) {
            // Whatever is sent, a trusted proxy appends where it came from.
            check("x-forwarded-for", &[&format!("{sent}{other}, 198.51.100.7")], "198.51.100.7");
            check("x-forwarded-for", &[&sent, &other, "198.51.100.7, 10.2.3.4"], "198.51.100.7");
            check("forwarded", &[&format!("{sent}{other}, for=198.51.100.7")], "198.51.100.7");
            check("forwarded", &[&other, &sent, "for=198.51.100.7;host=\"\\\"\""], "198.51.100.7");
        }

        #[test]
        fn a_canonical_address_is_its_own(bits: u128, mapped: bool) {
            let bits = if mapped { bits & 0xFFFF_FFFF | 0xFFFF << 32 } else { bits };
            let address = canonical(IpAddr::V6(Ipv6Addr::from_bits(bits)));
            prop_assert_eq!(canonical(address), address);
            prop_assert_eq!(address.is_ipv4(), mapped);
        }
    }
}
