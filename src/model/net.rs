//! Networks and addresses, of one IP family or of two.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::Serialize;

use super::invalid::{Invalid, serde_as_text};

/// One of the two IP families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4, addresses of 32 bits.
    V4,
    /// IPv6, addresses of 128 bits.
    V6,
}

impl Family {
    /// Bits of an address.
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// What belongs to one IP family.
pub trait HasFamily {
    /// The family that it belongs to.
    fn family(&self) -> Family;
}

impl HasFamily for IpAddr {
    fn family(&self) -> Family {
        if self.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// A network: an address whose host bits are all zero, and the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}
serde_as_text!(Cidr);

impl Cidr {
    /// The network of this address and prefix.
    ///
    /// # Errors
    /// Where the prefix is longer than an address, or the address has bits beyond the prefix (the hint has it right).
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, Invalid> {
        let (family, bits) = (address.family(), address.family().bits());
        if prefix > bits {
            return Err(Invalid::new(format!("an {family} prefix has at most {bits} bits, not {prefix}")));
        }
        let network = from_number(family, number(address) & mask(family, prefix));
        if network != address {
            return Err(Invalid::new(format!("`{address}/{prefix}` is an address inside a network, not a network"))
                .hint(format!("the network is `{network}/{prefix}`")));
        }
        Ok(Self { network, prefix })
    }

    /// The lowest address, which names the network.
    pub const fn network(&self) -> IpAddr {
        self.network
    }

    /// How many leading bits are common to all addresses.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// How many bits are left for addresses inside.
    pub fn host_bits(&self) -> u8 {
        self.family().bits() - self.prefix
    }

    /// Whether the address lies inside. An address of the other family never does.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.family() == address.family() && number(address) & mask(self.family(), self.prefix) == number(self.network)
    }

    /// Whether any address lies in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.network) || other.contains(self.network)
    }

    /// The address at this distance from the network's own; absent where the network ends before it.
    pub fn nth(&self, distance: u128) -> Option<IpAddr> {
        let within = self.host_bits() == 128 || distance >> self.host_bits() == 0;
        within.then(|| from_number(self.family(), number(self.network) + distance))
    }

    /// How many networks with prefix `mask` fit; none where `mask` is shorter than this prefix or longer than an
    /// address. Ends at `u64::MAX`, which is more nodes than there are.
    pub fn subnets(&self, mask: u8) -> u64 {
        if mask < self.prefix || mask > self.family().bits() {
            return 0;
        }
        1_u64.checked_shl(u32::from(mask - self.prefix)).unwrap_or(u64::MAX)
    }
}

impl HasFamily for Cidr {
    fn family(&self) -> Family {
        self.network.family()
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{}/{}", self.network, self.prefix))
    }
}

impl FromStr for Cidr {
    type Err = Invalid;

    /// Reads `10.244.0.0/16` or `fd00:10::/56`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refused = || {
            Invalid::new(format!("`{}` is not a network", text.escape_debug()))
                .hint("a network is an address and a prefix, such as `10.244.0.0/16`")
        };
        let (address, prefix) = text.split_once('/').ok_or_else(refused)?;
        let plain = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix = plain.then(|| prefix.parse().ok()).flatten();
        Self::new(address.parse().map_err(|_| refused())?, prefix.ok_or_else(refused)?)
    }
}

/// One value, or two of different families; the first is the primary one, as Kubernetes has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Families<T> {
    first: T,
    second: Option<T>,
}

impl<T: HasFamily> Families<T> {
    /// A single value.
    pub const fn one(first: T) -> Self {
        Self { first, second: None }
    }

    /// The values of a list, its order kept.
    ///
    /// # Errors
    /// Where the list is empty, has more than two values, or two of the same family.
    pub fn new(values: impl IntoIterator<Item = T>) -> Result<Self, Invalid> {
        let mut values = values.into_iter();
        let (Some(first), second, None) = (values.next(), values.next(), values.next()) else {
            return Err(Invalid::new("one value is needed, or two: one for each IP family"));
        };
        match &second {
            Some(second) if second.family() == first.family() => {
                Err(Invalid::new(format!("both values are {}: two are for two families", first.family())))
            }
            _ => Ok(Self { first, second }),
        }
    }

    /// The value of the primary family.
    pub const fn primary(&self) -> &T {
        &self.first
    }

    /// The values, primary first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.second)
    }

    /// The value of this family, absent where there is none.
    pub fn of(&self, family: Family) -> Option<&T> {
        self.iter().find(|value| value.family() == family)
    }

    /// The families, primary first.
    pub fn families(&self) -> Vec<Family> {
        self.iter().map(HasFamily::family).collect()
    }

    /// Whether there are two.
    pub const fn is_dual(&self) -> bool {
        self.second.is_some()
    }
}

impl<T: HasFamily + std::fmt::Display> std::fmt::Display for Families<T> {
    /// The values joined by commas, as Kubernetes' options take them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values: Vec<String> = self.iter().map(ToString::to_string).collect();
        f.pad(&values.join(","))
    }
}

impl<T: HasFamily + Serialize> Serialize for Families<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// The address as a number, in the low bits.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// The address of a number; for IPv4 the low 32 bits count.
#[expect(clippy::cast_possible_truncation, reason = "an IPv4 number has 32 bits")]
fn from_number(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from(number as u32).into(),
        Family::V6 => Ipv6Addr::from(number).into(),
    }
}

/// Ones for the prefix, zeroes for the rest.
fn mask(family: Family, prefix: u8) -> u128 {
    let host_bits = u32::from(family.bits() - prefix);
    u128::MAX.checked_shl(host_bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn reads_networks_only() {
        for good in ["10.244.0.0/16", "0.0.0.0/0", "fd00:10::/56", "::/0", "10.0.0.1/32", "::1/128"] {
            assert_eq!(cidr(good).to_string(), good);
        }
        for bad in
            ["10.244.0.0", "10.244.0.0/33", "10.244.0.1/16", "/16", "10.244.0.0/", "10.244.0.0/+8", "x/8", "::/129"]
        {
            assert!(bad.parse::<Cidr>().is_err(), "{bad:?}");
        }
        let refused = "10.244.7.1/16".parse::<Cidr>().unwrap_err();
        assert_eq!(refused.way_out(), Some("the network is `10.244.0.0/16`"));
    }

    #[test]
    fn contains_and_overlaps() {
        let pods = cidr("10.244.0.0/16");
        assert!(pods.contains([10, 244, 255, 255].into()));
        assert!(!pods.contains([10, 245, 0, 0].into()));
        assert!(!cidr("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(pods.overlaps(&cidr("10.0.0.0/8")) && cidr("10.0.0.0/8").overlaps(&pods));
        assert!(!pods.overlaps(&cidr("10.96.0.0/12")));
    }

    #[test]
    fn service_addresses_and_node_subnets() {
        let services = cidr("10.96.0.0/12");
        assert_eq!(services.nth(10), Some([10, 96, 0, 10].into()));
        assert_eq!(cidr("10.0.0.0/30").nth(4), None);
        assert_eq!(cidr("::/0").nth(u128::MAX), Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap()));
        assert_eq!(cidr("10.244.0.0/16").subnets(24), 256);
        assert_eq!(cidr("10.244.0.0/16").subnets(15), 0);
        assert_eq!(cidr("fd00::/8").subnets(128), u64::MAX);
    }

    #[test]
    fn families_are_one_or_two_different_ones() {
        let dual = Families::new([cidr("10.0.0.0/8"), cidr("fd00::/8")]).unwrap();
        assert_eq!(dual.to_string(), "10.0.0.0/8,fd00::/8");
        assert_eq!(dual.of(Family::V6), Some(&cidr("fd00::/8")));
        assert!(Families::new([cidr("10.0.0.0/8"), cidr("11.0.0.0/8")]).is_err());
        assert!(Families::<Cidr>::new([]).is_err());
    }
}
