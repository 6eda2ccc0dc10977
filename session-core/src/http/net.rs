//! Networks of addresses: which proxies are trusted, and how much of an address counts.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address, or a block of addresses in CIDR notation: `10.0.0.0/8`, `::1`, `2001:db8::/32`.
///
/// A single address is a block of one. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is the IPv4
/// address in it, here and wherever one is compared: a socket that listens on both families shows its
/// IPv4 peers so. A block of such addresses is kept as IPv4.
///
/// # Errors
///
/// Parsing refuses what is not an address, a prefix that is not a number of at most 32 (IPv4) or
/// 128 (IPv6) bits, and an address with bits set after its prefix: `10.0.0.1/8` may have been
/// meant as `10.0.0.1/32`, and a guess would trust sixteen million addresses too many.
///
/// # Source
///
/// RFC 4632 section 3.1, RFC 4291 section 2.3.
///
/// # Example
///
/// ```
/// use session_core::http::IpNet;
///
/// assert_eq!("192.0.2.1".parse::<IpNet>()?.to_string(), "192.0.2.1/32");
/// assert!("10.0.0.1/8".parse::<IpNet>().is_err());
/// # Ok::<(), session_core::http::IpNetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpNet {
    address: IpAddr,
    prefix: u8,
}

impl IpNet {
    /// Whether `address` lies in the block; never, if it is of the other family.
    ///
    /// # Example
    ///
    /// ```
    /// use session_core::http::IpNet;
    ///
    /// let net: IpNet = "2001:db8::/32".parse()?;
    /// assert!(net.contains("2001:db8:1::1".parse()?));
    /// assert!(!net.contains("192.0.2.1".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix, self.prefix) == self.address
    }
}

impl From<IpAddr> for IpNet {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let prefix = bits(address);
        Self { address, prefix }
    }
}

impl FromStr for IpNet {
    type Err = IpNetError;

    fn from_str(text: &str) -> Result<Self, IpNetError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| IpNetError::NotAnAddress)?;
        let Some(prefix) = prefix else {
            return Ok(Self::from(address));
        };
        // `u8::from_str` alone would also take `+8`.
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return Err(IpNetError::NotAPrefix);
        }
        let max = bits(address);
        let prefix = prefix.parse().ok().filter(|prefix| *prefix <= max);
        let prefix = prefix.ok_or(IpNetError::PrefixTooLong { max })?;

        let start = masked(address, prefix, prefix);
        if start != address {
            let block = Self {
                address: start,
                prefix,
            };
            return Err(IpNetError::HostBits { block });
        }
        // A mapped address has its bits 81 to 96 set, so its prefix has at least 96 bits here.
        let address = start.to_canonical();
        let prefix = prefix - (max - bits(address));
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Why a text is not an [`IpNet`], or two lengths not an [`IpPrefix`].
///
/// # Example
///
/// ```
/// use session_core::http::IpNet;
///
/// assert_eq!(
///     "10.0.0.1/8".parse::<IpNet>().unwrap_err().to_string(),
///     "the address has bits set after its prefix: write 10.0.0.0/8 for the whole block, or the \
///      address without a prefix for it alone",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IpNetError {
    /// What precedes the `/` is not an IPv4 or IPv6 address.
    NotAnAddress,
    /// What follows the `/` is not a decimal number.
    NotAPrefix,
    /// The prefix has more bits than an address of its family.
    PrefixTooLong {
        /// The bits of that family: 32 or 128.
        max: u8,
    },
    /// Bits of the address are set after its prefix.
    HostBits {
        /// The block that the address lies in.
        block: IpNet,
    },
}

impl fmt::Display for IpNetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnAddress => f.write_str(
                "not an address: write one such as 192.0.2.1 or 2001:db8::1, or a block such as \
                 10.0.0.0/8",
            ),
            Self::NotAPrefix => {
                f.write_str("the prefix is not a number: write the bits that count, as in /8")
            }
            Self::PrefixTooLong { max } => {
                write!(f, "the prefix is too long: write at most {max} bits")
            }
            Self::HostBits { block } => write!(
                f,
                "the address has bits set after its prefix: write {block} for the whole block, \
                 or the address without a prefix for it alone"
            ),
        }
    }
}

impl std::error::Error for IpNetError {}

/// The proxies whose word on the client's address is taken (rule A2).
///
/// Name only machines that append to, or overwrite, the header they forward. Everything that
/// can reach the application from one of these addresses can claim to be any client, so a
/// block such as `0.0.0.0/0` lets every client choose its address. How their headers are read stands
/// at [`client_address`](super::client_address).
///
/// # Default
///
/// Empty: the address is always the peer's.
///
/// # Example
///
/// ```
/// use session_core::http::{IpNet, TrustedProxies};
///
/// let nets = ["127.0.0.1", "10.0.0.0/8"].map(str::parse::<IpNet>);
/// let trusted: TrustedProxies = nets.into_iter().collect::<Result<_, _>>()?;
/// assert!(trusted.contains("10.9.8.7".parse()?));
/// assert!(!TrustedProxies::default().contains("10.9.8.7".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether `address` lies in one of the blocks.
    ///
    /// # Example
    ///
    /// ```
    /// use session_core::http::{IpNet, TrustedProxies};
    ///
    /// let trusted = TrustedProxies::from_iter(["10.0.0.0/8".parse::<IpNet>()?]);
    /// assert!(trusted.contains("::ffff:10.1.2.3".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(address))
    }

    /// Whether no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<IpNet> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = IpNet>>(nets: I) -> Self {
        Self(nets.into_iter().collect())
    }
}

/// How many leading bits of an address must stay the same for it to count as the same (rule A1).
///
/// # Default
///
/// 32 and 128: the whole address.
///
/// # Example
///
/// ```
/// use session_core::http::IpPrefix;
///
/// // Privacy extensions change the last 64 bits of an IPv6 address every day.
/// let prefix = IpPrefix::new(32, 64)?;
/// assert!(prefix.same("2001:db8::1".parse()?, "2001:db8::2".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpPrefix {
    v4: u8,
    v6: u8,
}

impl IpPrefix {
    /// The first `v4` bits of an IPv4 address and the first `v6` bits of an IPv6 address count.
    ///
    /// # Errors
    ///
    /// [`IpNetError::PrefixTooLong`]: `v4` is over 32 or `v6` over 128.
    ///
    /// # Example
    ///
    /// ```
    /// use session_core::http::IpPrefix;
    ///
    /// assert_eq!(IpPrefix::new(32, 128)?, IpPrefix::default());
    /// assert!(IpPrefix::new(33, 128).is_err());
    /// # Ok::<(), session_core::http::IpNetError>(())
    /// ```
    pub const fn new(v4: u8, v6: u8) -> Result<Self, IpNetError> {
        if v4 > 32 {
            return Err(IpNetError::PrefixTooLong { max: 32 });
        }
        if v6 > 128 {
            return Err(IpNetError::PrefixTooLong { max: 128 });
        }
        Ok(Self { v4, v6 })
    }

    /// Whether `a` and `b` are of one family and agree in the bits that count.
    ///
    /// # Example
    ///
    /// ```
    /// use session_core::http::IpPrefix;
    ///
    /// let prefix = IpPrefix::new(24, 128)?;
    /// assert!(prefix.same("192.0.2.1".parse()?, "::ffff:192.0.2.9".parse()?));
    /// assert!(!prefix.same("192.0.2.1".parse()?, "192.0.3.1".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn same(&self, a: IpAddr, b: IpAddr) -> bool {
        let start = |address: IpAddr| masked(address.to_canonical(), self.v4, self.v6);
        start(a) == start(b)
    }
}

impl Default for IpPrefix {
    fn default() -> Self {
        Self { v4: 32, v6: 128 }
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// `address` with only its first `v4` or `v6` bits left; more bits than it has are all of them.
fn masked(address: IpAddr, v4: u8, v6: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(v4.into()).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & !host).into()
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(v6.into()).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & !host).into()
        }
    }
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
