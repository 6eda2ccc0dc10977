//! Whether answers are right: probes that every program is put to, over every store that it has.

use std::error::Error as StdError;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::backends::Backend;
use crate::client::{Browser, NoAnswer, PATIENCE, Reply};
use crate::programs::{Place, Program, Running};

/// What a program was put to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Probe {
    /// 64 clients add 100 each to one session's number: how many of 6,400 are there afterwards?
    Increments,
    /// A slow request is in flight over a logout and stores something: is the user back, in the
    /// browser or for whoever has the cookie of before?
    Logout,
    /// The cookie of a session that has ended: does a new session come to live under it?
    EndedId,
    /// A made-up id in the right cookie: does a session come to live under it?
    MadeUpId,
    /// An attacker's cookie in the victim's browser while the victim logs in: is the attacker in?
    PlantedId,
    /// The store's server hangs: is a request that needs it answered, and not with 200?
    Frozen,
    /// The store's server is dead, and started again: the same.
    Killed,
}

impl Probe {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 7] = [
        Self::Increments,
        Self::Logout,
        Self::EndedId,
        Self::MadeUpId,
        Self::PlantedId,
        Self::Frozen,
        Self::Killed,
    ];
}

/// How a program fared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The program.
    pub program: String,
    /// Where it kept its sessions.
    pub store: String,
    /// What it was put to.
    pub probe: Probe,
    /// Whether the answers were right.
    pub passed: bool,
    /// What was seen, in a few words.
    pub seen: String,
}

type Seen = Result<(bool, String), Box<dyn StdError>>;

/// Puts `program` to every probe that applies to `backend`.
///
/// # Errors
///
/// It does not start, or does not answer what it should without any trouble.
pub async fn put(
    program: &Program,
    backend: &mut Backend,
) -> Result<Vec<Outcome>, Box<dyn StdError>> {
    let url = backend.url(program.name)?;
    let running = program.start(&url, Place::Anywhere)?;
    let mut outcomes = Vec::new();
    for probe in Probe::ALL {
        if matches!(probe, Probe::Frozen | Probe::Killed) && !backend.has_server() {
            continue;
        }
        let seen = match probe {
            Probe::Increments => increments(&running).await,
            Probe::Logout => logout(&running).await,
            Probe::EndedId => ended_id(&running).await,
            Probe::MadeUpId => made_up_id(&running).await,
            Probe::PlantedId => planted_id(&running).await,
            Probe::Frozen => frozen(&running, backend).await,
            Probe::Killed => killed(&running, backend).await,
        };
        let (passed, seen) = seen.map_err(|error| format!("{probe:?}: {error}"))?;
        outcomes.push(Outcome {
            program: program.name.to_owned(),
            store: backend.name().to_owned(),
            probe,
            passed,
            seen,
        });
    }
    Ok(outcomes)
}

const CLIENTS: u64 = 64;
const EACH: u64 = 100;

async fn increments(running: &Running) -> Seen {
    let browser = Browser::new(&running.url());
    let before: u64 = number(&expect(browser.get("/count").await)?)?;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let browser = browser.clone();
        clients.spawn(async move {
            let mut counted = 0;
            for _ in 0..EACH {
                let reply = browser.get("/count").await;
                counted += u64::from(reply.is_ok_and(|reply| reply.status == 200));
            }
            counted
        });
    }
    let counted: u64 = clients.join_all().await.into_iter().sum();
    let after: u64 = number(&expect(browser.get("/peek").await)?)?;
    let kept = after.saturating_sub(before);
    let wanted = CLIENTS * EACH;
    let mut seen = format!("{kept} of {wanted}");
    if counted != wanted {
        seen.push_str(&format!(", {} refused", wanted - counted));
    }
    Ok((kept == wanted && counted == wanted, seen))
}

async fn logout(running: &Running) -> Seen {
    let browser = logged_in(running).await?;
    let before = browser.cookies();
    let slow = tokio::spawn({
        let browser = browser.clone();
        async move { browser.get("/slow?ms=600&key=x&value=y").await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    browser.post("/logout", "").await.map_err(no_answer)?;
    let slow = slow.await?.map_or(0, |reply| reply.status);
    let mut back = Vec::new();
    if user(&browser).await? {
        back.push("in the browser");
    }
    if user(&browser.with_fixed(&before)).await? {
        back.push("by the old cookie");
    }
    let verdict = match back.is_empty() {
        true => "out".to_owned(),
        false => format!("back {}", back.join(" and ")),
    };
    Ok((back.is_empty(), format!("{verdict}; slow answer {slow}")))
}

async fn ended_id(running: &Running) -> Seen {
    let browser = logged_in(running).await?;
    let ended = browser.with_fixed(&browser.cookies());
    browser.post("/logout", "").await.map_err(no_answer)?;
    adopted(&ended).await
}

async fn made_up_id(running: &Running) -> Seen {
    let browser = Browser::new(&running.url());
    expect(browser.get("/count").await)?;
    adopted(&browser.with_fixed(&made_up(&browser.cookies()))).await
}

/// The same with other digits: as well-formed as before, whatever the form is.
fn made_up(cookies: &str) -> String {
    let mut escaped = 0;
    let other = |letter: char| {
        escaped = if letter == '%' { 3 } else { escaped };
        if escaped > 0 {
            escaped -= 1;
            return letter;
        }
        match letter.to_digit(10) {
            Some(digit) => char::from_digit((digit + 1) % 10, 10).unwrap_or(letter),
            None => letter,
        }
    };
    let pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
    let mut other = other;
    let pairs: Vec<String> = pairs
        .map(|(name, value)| {
            let value: String = value.chars().map(&mut other).collect();
            format!("{name}={value}")
        })
        .collect();
    pairs.join("; ")
}

/// Whether two requests with the same cookie meet in one session.
async fn adopted(thief: &Browser) -> Seen {
    let mut numbers = [0; 2];
    for number in &mut numbers {
        let reply = thief.get("/count").await.map_err(no_answer)?;
        if reply.status != 200 {
            return Ok((true, format!("refused: {}", reply.status)));
        }
        *number = self::number(&reply.body)?;
    }
    let adopted = numbers[1] > numbers[0];
    let seen = if adopted { "adopted" } else { "not adopted" };
    Ok((!adopted, seen.to_owned()))
}

async fn planted_id(running: &Running) -> Seen {
    let attacker = Browser::new(&running.url());
    expect(attacker.get("/count").await)?;
    let attacker = attacker.with_fixed(&attacker.cookies());
    let victim = attacker.with_cookies(&attacker.cookies());
    victim.post("/login", LOGIN).await.map_err(no_answer)?;
    if !user(&victim).await? {
        return Err("nobody is logged in after a login".into());
    }
    let inside = user(&attacker).await?;
    let seen = if inside {
        "attacker is in"
    } else {
        "attacker is out"
    };
    Ok((!inside, seen.to_owned()))
}

async fn frozen(running: &Running, backend: &Backend) -> Seen {
    let browser = Browser::new(&running.url());
    expect(browser.get("/count").await)?;
    backend.freeze();
    let seen = without_store(&browser).await;
    backend.thaw();
    Ok(with_recovery(seen, recovered(&browser).await))
}

async fn killed(running: &Running, backend: &mut Backend) -> Seen {
    let browser = Browser::new(&running.url());
    expect(browser.get("/count").await)?;
    backend.kill();
    let seen = without_store(&browser).await;
    backend.restart()?;
    Ok(with_recovery(seen, recovered(&browser).await))
}

/// What is answered while the store is away: by routes that need it, and by the one that does not.
async fn without_store(browser: &Browser) -> (bool, String) {
    let mut asked = JoinSet::new();
    for path in ["/peek", "/count", "/me"] {
        let browser = browser.clone();
        asked.spawn(async move {
            let begin = Instant::now();
            (path, browser.get(path).await, begin.elapsed())
        });
    }
    let plain = browser.get("/plain").await;
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(path, ..)| *path);
    let lies: Vec<&str> = answers
        .iter()
        .filter(|(_, reply, _)| reply.as_ref().is_ok_and(|reply| reply.status == 200))
        .map(|(path, ..)| *path)
        .collect();
    let hung = answers.iter().any(|(_, reply, _)| reply.is_err());
    let slowest = answers.iter().map(|(.., took)| *took).max();
    let slowest = slowest.unwrap_or_default().as_secs_f64();
    let mut seen = if !lies.is_empty() {
        format!("200 for {}", lies.join(", "))
    } else if hung {
        format!("no answer in {} s", PATIENCE.as_secs())
    } else {
        let statuses = answers
            .iter()
            .filter_map(|(_, reply, _)| reply.as_ref().ok());
        let mut statuses: Vec<u16> = statuses.map(|reply| reply.status).collect();
        statuses.dedup();
        let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
        format!("{} within {slowest:.1} s", statuses.join(", "))
    };
    let plain = plain.is_ok_and(|reply| reply.status == 200);
    if !plain {
        seen.push_str(", `/plain` fails too");
    }
    (lies.is_empty() && !hung && plain, seen)
}

/// How long a program may take to be well again: longer than clients wait between attempts.
const RECOVERY_MAX: Duration = Duration::from_secs(60);

/// How long it takes until the program counts again, for a new visitor.
async fn recovered(browser: &Browser) -> Option<Duration> {
    let begin = Instant::now();
    while begin.elapsed() < RECOVERY_MAX {
        let visitor = browser.with_cookies("");
        if visitor
            .get("/count")
            .await
            .is_ok_and(|reply| reply.status == 200)
        {
            return Some(begin.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

fn with_recovery((passed, seen): (bool, String), after: Option<Duration>) -> (bool, String) {
    match after {
        Some(after) => (
            passed,
            format!("{seen}; back in {:.1} s", after.as_secs_f64()),
        ),
        None => (
            false,
            format!("{seen}; not back in {} s", RECOVERY_MAX.as_secs()),
        ),
    }
}

const LOGIN: &str = "user=ada";

/// A browser whose user is logged in.
async fn logged_in(running: &Running) -> Result<Browser, Box<dyn StdError>> {
    let browser = Browser::new(&running.url());
    expect(browser.get("/count").await)?;
    browser.post("/login", LOGIN).await.map_err(no_answer)?;
    match user(&browser).await? {
        true => Ok(browser),
        false => Err("nobody is logged in after a login".into()),
    }
}

/// Whether someone is logged in.
async fn user(browser: &Browser) -> Result<bool, Box<dyn StdError>> {
    let reply = browser.get("/me").await.map_err(no_answer)?;
    // An error shows nobody a user.
    if reply.status != 200 {
        return Ok(false);
    }
    let me: serde_json::Value = serde_json::from_str(&reply.body)?;
    Ok(me["user"].is_string())
}

fn number(body: &str) -> Result<u64, Box<dyn StdError>> {
    let number = body.parse();
    Ok(number.map_err(|_| format!("no number: {body}"))?)
}

fn expect(reply: Result<Reply, NoAnswer>) -> Result<String, Box<dyn StdError>> {
    match reply {
        Ok(Reply { status: 200, body }) => Ok(body),
        Ok(reply) => Err(format!("answered {}: {}", reply.status, reply.body).into()),
        Err(error) => Err(no_answer(error)),
    }
}

fn no_answer(_: NoAnswer) -> Box<dyn StdError> {
    "there was no answer".into()
}
