//! The user's sessions: listing them and ending them.

use serde::Serialize;
use session_kit::{Error, Owner, Session, SessionId, SessionInfo};

use super::account;
use crate::answer::Answer;
use crate::app::{App, language};
use crate::form;
use crate::moment::rfc3339;
use crate::page;

#[derive(Serialize)]
struct Device {
    handle: String,
    created_at: String,
    accessed_at: String,
    ip: Option<String>,
    user_agent: Option<String>,
    current: bool,
}

/// `GET /devices`: the list as JSON, the latest used first.
///
/// # Errors
///
/// As for [`SessionManager::sessions_of`](session_kit::SessionManager::sessions_of).
pub async fn list(app: &App, session: &Session) -> Result<Answer, Error> {
    let Some(owner) = session.owner() else {
        return Ok(Answer::unauthorized());
    };
    let current = session.id();
    let mut devices = Vec::new();
    for info in app.sessions.sessions_of(&owner).await? {
        devices.push(Device {
            handle: info.id.to_string(),
            created_at: rfc3339(info.created_at),
            accessed_at: rfc3339(info.accessed_at),
            ip: info.address.map(|address| address.to_string()),
            user_agent: info.agent.as_deref().map(str::to_owned),
            current: Some(info.id) == current,
        });
    }
    Answer::json(&devices)
}

/// `POST /devices/revoke`: ends the session of one handle, or all others.
///
/// # Errors
///
/// As for [`SessionManager::revoke_of`](session_kit::SessionManager::revoke_of) and
/// [`Session::flash`].
pub async fn revoke(
    app: &App,
    session: &Session,
    body: &[u8],
    accept: Option<&[u8]>,
) -> Result<Answer, Error> {
    let (Some(owner), Some(own)) = (session.owner(), session.id()) else {
        return Ok(Answer::unauthorized());
    };
    let handle = form::field(body, "handle");
    let others = form::field(body, "others");
    match (handle, others.as_deref()) {
        (Some(handle), None) => revoke_one(app, session, (&owner, own), &handle, accept).await,
        (None, Some("1")) => {
            app.sessions.revoke_owner(&owner, Some(&own)).await?;
            let texts = language(session).texts();
            session.flash("success", texts.others_revoked)?;
            Ok(Answer::to_page())
        }
        _ => Ok(Answer::bad_request("say either `handle=…` or `others=1`")),
    }
}

async fn revoke_one(
    app: &App,
    session: &Session,
    (owner, own): (&Owner, SessionId),
    handle: &str,
    accept: Option<&[u8]>,
) -> Result<Answer, Error> {
    let Ok(id) = handle.parse::<SessionId>() else {
        return Ok(Answer::not_found());
    };
    if id == own {
        account::sign_out(session, accept)?;
    } else if app.sessions.revoke_of(owner, &id).await? {
        let texts = language(session).texts();
        session.flash("success", texts.device_revoked)?;
    } else {
        return Ok(Answer::not_found());
    }
    Ok(Answer::to_page())
}

/// The list as the page shows it.
pub(super) fn shown(sessions: Vec<SessionInfo>, current: Option<SessionId>) -> Vec<page::Device> {
    let device = |info: SessionInfo| page::Device {
        handle: info.id.to_string(),
        created: rfc3339(info.created_at),
        seen: rfc3339(info.accessed_at),
        ip: info.address.map(|ip| ip.to_string()).unwrap_or_default(),
        user_agent: info.agent.as_deref().unwrap_or_default().to_owned(),
        current: Some(info.id) == current,
    };
    sessions.into_iter().map(device).collect()
}
