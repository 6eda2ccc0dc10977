//! A URL, taken apart.
//!
//! What is wrong with one is said without repeating any of it but the scheme: a password that
//! was not percent-encoded can be anywhere in it.

use percent_encoding::percent_decode_str;

use crate::link::Address;

/// What a URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    pub(crate) servers: Servers,
    pub(crate) tls: bool,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: i64,
    /// Decoded; in their order.
    pub(crate) parameters: Vec<(&'a str, String)>,
}

/// Which servers it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Servers {
    One(Address),
    Cluster(Vec<Address>),
    Sentinels {
        addresses: Vec<Address>,
        name: String,
    },
}

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

impl<'a> Url<'a> {
    pub(crate) fn parse(url: &'a str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err("this is not a URL: it has no `://`".to_owned());
        };
        let Some((kind, tls)) = Kind::of(scheme) else {
            return Err(unknown_scheme(scheme));
        };
        parse_rest(kind, tls, rest).map_err(|why| format!("the {scheme} URL {why}"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server,
    Unix,
    Cluster,
    Sentinel,
}

impl Kind {
    fn of(scheme: &str) -> Option<(Self, bool)> {
        Some(match scheme {
            "redis" => (Self::Server, false),
            "rediss" => (Self::Server, true),
            "redis+unix" => (Self::Unix, false),
            "redis+cluster" => (Self::Cluster, false),
            "rediss+cluster" => (Self::Cluster, true),
            "redis+sentinel" => (Self::Sentinel, false),
            "rediss+sentinel" => (Self::Sentinel, true),
            _ => return None,
        })
    }
}

fn parse_rest(kind: Kind, tls: bool, rest: &str) -> Result<Url<'_>, &'static str> {
    if rest.contains('#') {
        return Err("has a `#`: in a password it is written %23");
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    if path.contains('@') && kind != Kind::Unix {
        return Err("has a `@` after the hosts: a `/` in a password is written %2F");
    }
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (Some(login), hosts),
        None => (None, authority),
    };
    let (user, password) = login.map_or(Ok((None, None)), parse_login)?;
    let parameters = parse_query(query)?;
    let (servers, database) = match kind {
        Kind::Unix => {
            if !hosts.is_empty() || path.is_empty() {
                return Err("has no path of a socket after `://`");
            }
            let path = decode(path)?;
            (Servers::One(Address::Unix(path.into())), 0)
        }
        Kind::Server => {
            let mut addresses = parse_hosts(hosts, PORT)?;
            let Some(address) = addresses.pop().filter(|_| addresses.is_empty()) else {
                return Err("names several hosts: only those of Cluster and Sentinel do");
            };
            (Servers::One(address), parse_database(&path_parts(path)?)?)
        }
        Kind::Cluster => {
            if parse_database(&path_parts(path)?)? != 0 {
                return Err("names a database: a cluster has only number 0");
            }
            (Servers::Cluster(parse_hosts(hosts, PORT)?), 0)
        }
        Kind::Sentinel => {
            let addresses = parse_hosts(hosts, SENTINEL_PORT)?;
            let mut parts = path_parts(path)?;
            if parts.is_empty() {
                return Err("does not name the primary: `/NAME` after the hosts");
            }
            let name = parts.remove(0);
            (
                Servers::Sentinels { addresses, name },
                parse_database(&parts)?,
            )
        }
    };
    Ok(Url {
        servers,
        tls,
        user,
        password,
        database,
        parameters,
    })
}

fn parse_login(login: &str) -> Result<(Option<String>, Option<String>), &'static str> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    if password.is_empty() {
        return Err("has a user without a password");
    }
    let user = decode(user)?;
    Ok((
        Some(user).filter(|it| !it.is_empty()),
        Some(decode(password)?),
    ))
}

fn parse_hosts(hosts: &str, default_port: u16) -> Result<Vec<Address>, &'static str> {
    let parse = |host| parse_host(host, default_port);
    hosts.split(',').map(parse).collect()
}

fn parse_host(text: &str, default_port: u16) -> Result<Address, &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']').ok_or("has a `[` without its `]`")?;
            let port = match port {
                "" => None,
                port => Some(port.strip_prefix(':').ok_or("has text after a `]`")?),
            };
            (host, port)
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err("has an empty host");
    }
    let v6 = text.starts_with('[');
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !host
        .bytes()
        .all(|byte| legal(byte) || (v6 && b":%".contains(&byte)))
    {
        return Err("has a host with an illegal character");
    }
    let port = match port {
        None => default_port,
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or("has a port that is not a number from 1 to 65535")?,
    };
    Ok(Address::Tcp(host.to_owned(), port))
}

fn path_parts(path: &str) -> Result<Vec<String>, &'static str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('/').map(decode).collect()
}

fn parse_database(parts: &[String]) -> Result<i64, &'static str> {
    match parts {
        [] => Ok(0),
        [number] => match number.parse::<u32>() {
            Ok(number) => Ok(number.into()),
            Err(_) => Err("has a database that is not a number"),
        },
        _ => Err("has too long a path"),
    }
}

fn parse_query(query: &str) -> Result<Vec<(&str, String)>, &'static str> {
    let pair = |pair| {
        let (name, value) = str::split_once(pair, '=').unwrap_or((pair, ""));
        Ok((name, decode(value)?))
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(pair).collect()
}

fn decode(text: &str) -> Result<String, &'static str> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err("has a percent-encoding that is not UTF-8"),
    }
}

/// A scheme is named if it looks like one.
fn unknown_scheme(scheme: &str) -> String {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte == b'+';
    if !scheme.is_empty() && scheme.len() <= 20 && scheme.bytes().all(legal) {
        format!("the scheme {scheme} is not one of Redis")
    } else {
        "the scheme of the URL is not one of Redis".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp(host.to_owned(), port)
    }

    fn plain(servers: Servers) -> Url<'static> {
        Url {
            servers,
            tls: false,
            user: None,
            password: None,
            database: 0,
            parameters: Vec::new(),
        }
    }

    #[test]
    fn each_kind_of_url_says_what_it_says() {
        let one = |host, port| Servers::One(tcp(host, port));
        for (url, expected) in [
            ("redis://localhost", plain(one("localhost", 6379))),
            ("redis://[::1]", plain(one("::1", 6379))),
            ("redis://[::1]:7000/", plain(one("::1", 7000))),
            (
                "redis://10.0.0.1:7000/3",
                Url {
                    database: 3,
                    ..plain(one("10.0.0.1", 7000))
                },
            ),
            (
                "rediss://:p%40ss%3A@cache.example:6380",
                Url {
                    tls: true,
                    password: Some("p@ss:".to_owned()),
                    ..plain(one("cache.example", 6380))
                },
            ),
            (
                "redis://us%2Fer:a:b@h?prefix=shop%3A&connections=2",
                Url {
                    user: Some("us/er".to_owned()),
                    password: Some("a:b".to_owned()),
                    parameters: vec![
                        ("prefix", "shop:".to_owned()),
                        ("connections", "2".to_owned()),
                    ],
                    ..plain(one("h", 6379))
                },
            ),
            (
                "redis+unix:///run/redis.sock",
                plain(Servers::One(Address::Unix("/run/redis.sock".into()))),
            ),
            (
                "rediss+cluster://h1:7000,h2,[fe80::1]:7001",
                Url {
                    tls: true,
                    ..plain(Servers::Cluster(vec![
                        tcp("h1", 7000),
                        tcp("h2", 6379),
                        tcp("fe80::1", 7001),
                    ]))
                },
            ),
            (
                "redis+sentinel://u:p@h1,h2:7000/my%20primary/2",
                Url {
                    user: Some("u".to_owned()),
                    password: Some("p".to_owned()),
                    database: 2,
                    ..plain(Servers::Sentinels {
                        addresses: vec![tcp("h1", 26379), tcp("h2", 7000)],
                        name: "my primary".to_owned(),
                    })
                },
            ),
        ] {
            assert_eq!(Url::parse(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_and_not_repeated() {
        for (url, why) in [
            ("hunter2", "this is not a URL: it has no `://`"),
            ("hunter2://h", "the scheme of the URL is not one of Redis"),
            ("http://hunter2", "the scheme http is not one of Redis"),
            ("redis://:hunter2@", "the redis URL has an empty host"),
            (
                "redis://hunter2@h",
                "the redis URL has a user without a password",
            ),
            (
                "redis://u:hunter#2@h",
                "the redis URL has a `#`: in a password it is written %23",
            ),
            (
                "redis://u:hunter/2@h",
                "the redis URL has a `@` after the hosts: a `/` in a password is written %2F",
            ),
            (
                "redis://u:hunter?2@h",
                "the redis URL has a port that is not a number from 1 to 65535",
            ),
            (
                "redis://u:hunter2@h:x",
                "the redis URL has a port that is not a number from 1 to 65535",
            ),
            (
                "redis://u:hunter2@h:0",
                "the redis URL has a port that is not a number from 1 to 65535",
            ),
            (
                "redis://u:%ff@h",
                "the redis URL has a percent-encoding that is not UTF-8",
            ),
            (
                "redis://u:hunter2@h/x",
                "the redis URL has a database that is not a number",
            ),
            (
                "redis://u:hunter2@h/1/2",
                "the redis URL has too long a path",
            ),
            (
                "redis://u:hunter2@h,i",
                "the redis URL names several hosts: only those of Cluster and Sentinel do",
            ),
            (
                "redis://[::1:hunter2",
                "the redis URL has a `[` without its `]`",
            ),
            ("redis://[::1]hunter2", "the redis URL has text after a `]`"),
            (
                "redis://hun ter2",
                "the redis URL has a host with an illegal character",
            ),
            (
                "redis+cluster://u:hunter2@h/1",
                "the redis+cluster URL names a database: a cluster has only number 0",
            ),
            (
                "redis+sentinel://u:hunter2@h",
                "the redis+sentinel URL does not name the primary: `/NAME` after the hosts",
            ),
            (
                "redis+unix://hunter2/x",
                "the redis+unix URL has no path of a socket after `://`",
            ),
        ] {
            assert_eq!(Url::parse(url), Err(why.to_owned()), "{url}");
        }
    }
}
