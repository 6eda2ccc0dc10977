//! A short name for a browser, such as "Firefox on Linux", guessed from its `User-Agent`.
//!
//! Whoever sends the text chooses it, so the name helps its owner tell devices apart and proves
//! nothing.

/// The browser in `user_agent` and, where it says, the system it runs on.
///
/// A client that is no known browser goes by the first word of its text: `curl/8.5.0`. `None`
/// for a blank text.
pub fn name(user_agent: &str) -> Option<(&str, Option<&'static str>)> {
    let known = |table: &[(&str, &'static str)]| {
        table
            .iter()
            .find(|(mark, _)| user_agent.contains(mark))
            .map(|(_, name)| *name)
    };
    let client = known(BROWSERS).or_else(|| user_agent.split_whitespace().next())?;
    Some((client, known(SYSTEMS)))
}

/// In this order, as Edge and Opera also claim to be Chrome, and Chrome to be Safari.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// In this order, as iPhones also claim to be like Mac OS X, and Android to be Linux.
const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_apart_although_they_claim_to_be_each_other() {
        let table = [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
                Some(("Firefox", Some("Linux"))),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
                Some(("Edge", Some("Windows"))),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
                Some(("Safari", Some("iPhone"))),
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/131.0.0.0 Mobile Safari/537.36",
                Some(("Chrome", Some("Android"))),
            ),
            ("curl/8.5.0", Some(("curl/8.5.0", None))),
            ("  ", None),
            ("", None),
        ];
        for (user_agent, expected) in table {
            assert_eq!(name(user_agent), expected, "{user_agent}");
        }
    }
}
