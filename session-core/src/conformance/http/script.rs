//! What a test's handlers do: a script of steps that comes as the request's body.
//!
//! The same script runs in every adapter's handlers, so a scenario is written once. Steps that
//! fail end the request with their error, as `?` does; inside [`Step::Try`] the error is an
//! outcome like any other.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::probe::Probe;
use crate::error::{Error, ErrorKind};
use crate::flash::{Flash, FlashQueue};
use crate::record::Owner;
use crate::session::Session;
use crate::why_new::WhyNew;

/// One thing a handler does; each step has an outcome, and the body lists them as JSON.
///
/// ```
/// use session_core::conformance::http::Step;
///
/// let script = [Step::Insert("name".into(), "ada".into()), Step::Renew];
/// assert!(serde_json::to_string(&script)?.starts_with(r#"[{"Insert":["name","ada"]}"#));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// The value under the key, or `null`.
    Get(String),
    /// All keys.
    Keys,
    /// All keys and values.
    Data,
    /// The session's id, or `null`.
    Id,
    /// The owner, or `null`.
    Owner,
    /// Why the session is new, in a word, or `null`.
    WhyNew,
    /// Stores the value.
    Insert(String, Value),
    /// Stores the value unless there is one; whether it did.
    InsertIfAbsent(String, Value),
    /// As `InsertIfAbsent`, by `transact`.
    TransactInsertIfAbsent(String, Value),
    /// Stores a string of this many bytes.
    InsertBytes(String, usize),
    /// Removes the key; whether it was there.
    Remove(String),
    /// Adds the value to the array under the key.
    Append(String, Value),
    /// Adds one to the number under the key, by `update`.
    UpdateAdd(String),
    /// Adds one to the number under the key, by `transact`; the new number.
    TransactAdd(String),
    /// Stores the value in a transaction that then fails.
    TransactFail(String, Value),
    /// Removes every key.
    Clear,
    /// `save`.
    Save,
    /// `reload`.
    Reload,
    /// `revert`.
    Revert,
    /// `renew`.
    Renew,
    /// `login` of this owner.
    Login(String),
    /// `logout`.
    Logout,
    /// `destroy`.
    Destroy,
    /// `remember` for this many seconds.
    Remember(u64),
    /// `remember` no more.
    Forget,
    /// `set_timeout` to this many seconds.
    SetTimeout(u64),
    /// `keep_expiry`.
    KeepExpiry,
    /// `touch`.
    Touch,
    /// `ended`, with a look every so many seconds.
    Ended(u64),
    /// Adds a message of the category `note`.
    Flash(String),
    /// Adds a message of this category.
    FlashAs(String, String),
    /// Adds a message of the category `note` unless it waits already.
    FlashOnce(String),
    /// The texts of all messages, which stay.
    Flashes,
    /// Takes all messages; their texts.
    TakeFlashes,
    /// Takes the messages of these categories; their texts.
    TakeFlashesOf(Vec<String>),
    /// The step, which is about flashes, on the queue of this name.
    InQueue(String, Box<Step>),
    /// A CSRF token.
    CsrfToken,
    /// Checks a CSRF token.
    VerifyCsrf(String),
    /// The token's text, or `null`.
    ExposeToken,
    /// Waits at the probe's gate of this name.
    Wait(String),
    /// The step's outcome, or its error: `{"error": kind, "message": text}`.
    Try(Box<Step>),
    /// Runs the steps in a task that outlives the response, once the gate of this name opens;
    /// their outcomes are kept under the name.
    After(String, Vec<Step>),
    /// The response's status, 200 without.
    Status(u16),
    /// A header field of the response.
    Header(String, String),
    /// The handler panics.
    Panic,
}

/// What a handler answers: an adapter turns it into its framework's response as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields, to be appended in order.
    pub headers: Vec<(String, String)>,
    /// The body: the steps' outcomes as a JSON array.
    pub body: String,
}

/// Runs a script; the session is `None` where a handler has none.
pub(super) async fn run(
    probe: &Probe,
    session: Option<&Session>,
    steps: Vec<Step>,
) -> Result<Answer, Error> {
    let mut answer = Answer {
        status: 200,
        headers: Vec::new(),
        body: String::new(),
    };
    let mut outcomes = Vec::new();
    for step in steps {
        outcomes.push(perform(probe, session, step, &mut answer).await?);
    }
    answer.body = Value::Array(outcomes).to_string();
    Ok(answer)
}

type Performing<'a> = Pin<Box<dyn Future<Output = Result<Value, Error>> + Send + 'a>>;

fn perform<'a>(
    probe: &'a Probe,
    session: Option<&'a Session>,
    step: Step,
    answer: &'a mut Answer,
) -> Performing<'a> {
    Box::pin(async move {
        match step {
            Step::Wait(gate) => probe.gate(&gate).pass().await,
            Step::Status(status) => answer.status = status,
            Step::Header(name, value) => answer.headers.push((name, value)),
            #[expect(clippy::panic, reason = "it is what the step is for")]
            Step::Panic => panic!("a handler that panics, as the scenario asks"),
            Step::Try(step) => {
                return Ok(match perform(probe, session, *step, answer).await {
                    Ok(outcome) => outcome,
                    Err(error) => told(&error),
                });
            }
            Step::After(name, steps) => after(probe, session.cloned(), name, steps),
            step => match session {
                Some(session) => return on_session(session, step).await,
                None => return Ok(json!("no session")),
            },
        }
        Ok(Value::Null)
    })
}

/// An error as an outcome.
fn told(error: &Error) -> Value {
    json!({"error": format!("{:?}", error.kind()), "message": error.to_string()})
}

fn after(probe: &Probe, session: Option<Session>, name: String, steps: Vec<Step>) {
    let probe = probe.clone();
    tokio::spawn(async move {
        probe.gate(&name).pass().await;
        let outcome = match run(&probe, session.as_ref(), steps).await {
            Ok(answer) => answer.body,
            Err(error) => told(&error).to_string(),
        };
        probe.keep_outcome(name, outcome);
    });
}

async fn on_session(session: &Session, step: Step) -> Result<Value, Error> {
    match step {
        Step::Get(key) => return Ok(json!(session.get::<Value>(key.as_str())?)),
        Step::Keys => return Ok(json!(session.keys())),
        Step::Data => return Ok(json!(session.data()?)),
        Step::Id => return Ok(json!(session.id().map(|id| id.to_string()))),
        Step::Owner => return Ok(json!(session.owner().map(|owner| owner.to_string()))),
        Step::WhyNew => return Ok(json!(session.why_new().map(WhyNew::name))),
        Step::Insert(key, value) => session.insert(key.as_str(), value)?,
        Step::InsertIfAbsent(key, value) => {
            return Ok(json!(session.insert_if_absent(key.as_str(), value)?));
        }
        Step::TransactInsertIfAbsent(key, value) => {
            let insert =
                session.transact(|draft| draft.insert_if_absent(key.as_str(), value.clone()));
            return Ok(json!(insert.await?));
        }
        Step::InsertBytes(key, size) => session.insert(key.as_str(), "x".repeat(size))?,
        Step::Remove(key) => return Ok(json!(session.remove(key))),
        Step::Append(key, item) => session.append(&key, item)?,
        Step::UpdateAdd(key) => {
            session.update(key.as_str(), |n: Option<u64>| n.unwrap_or(0) + 1)?;
        }
        Step::TransactAdd(key) => {
            let add = session.transact(|draft| {
                let n = draft.get::<u64>(key.as_str())?.unwrap_or(0) + 1;
                draft.insert(key.as_str(), n)?;
                Ok(n)
            });
            return Ok(json!(add.await?));
        }
        Step::TransactFail(key, value) => {
            let fail = session.transact(|draft| {
                draft.insert(key.as_str(), value.clone())?;
                Err::<(), _>(Error::application("the transaction changed its mind"))
            });
            fail.await?;
        }
        Step::Clear => session.clear(),
        Step::Save => session.save().await?,
        Step::Reload => session.reload().await?,
        Step::Revert => session.revert(),
        Step::Renew => session.renew(),
        Step::Login(owner) => session.login(Owner::new(owner)?),
        Step::Logout => session.logout(),
        Step::Destroy => session.destroy(),
        Step::Remember(seconds) => session.remember(Duration::from_secs(seconds))?,
        Step::Forget => session.remember(None)?,
        Step::SetTimeout(seconds) => session.set_timeout(Duration::from_secs(seconds))?,
        Step::KeepExpiry => session.keep_expiry(),
        Step::Touch => session.touch().await?,
        Step::Ended(seconds) => session.ended(Duration::from_secs(seconds)).await?,
        Step::Flash(text) => session.flash("note", text)?,
        Step::FlashAs(category, text) => session.flash(category, text)?,
        Step::FlashOnce(text) => session.flash_once("note", text)?,
        Step::Flashes => return Ok(texts(session.flashes()?)),
        Step::TakeFlashes => return Ok(texts(session.take_flashes().await?)),
        Step::TakeFlashesOf(categories) => {
            let categories: Vec<&str> = categories.iter().map(String::as_str).collect();
            return Ok(texts(session.take_flashes_of(&categories).await?));
        }
        Step::InQueue(name, step) => return on_queue(session.flash_queue(&name), *step).await,
        Step::CsrfToken => return Ok(json!(session.csrf_token()?)),
        Step::VerifyCsrf(token) => session.verify_csrf(&token)?,
        Step::ExposeToken => return Ok(json!(session.expose_token()?)),
        other => return Err(out_of_place(&other, "a session")),
    }
    Ok(Value::Null)
}

async fn on_queue(queue: FlashQueue<'_>, step: Step) -> Result<Value, Error> {
    match step {
        Step::Flash(text) => queue.flash("note", text)?,
        Step::FlashAs(category, text) => queue.flash(category, text)?,
        Step::FlashOnce(text) => queue.flash_once("note", text)?,
        Step::Flashes => return Ok(texts(queue.flashes()?)),
        Step::TakeFlashes => return Ok(texts(queue.take_flashes().await?)),
        Step::TakeFlashesOf(categories) => {
            let categories: Vec<&str> = categories.iter().map(String::as_str).collect();
            return Ok(texts(queue.take_flashes_of(&categories).await?));
        }
        other => return Err(out_of_place(&other, "a queue")),
    }
    Ok(Value::Null)
}

fn texts(flashes: Vec<Flash>) -> Value {
    flashes.into_iter().map(|flash| flash.text).collect()
}

fn out_of_place(step: &Step, of: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{step:?} is no step of {of}"))
}
