//! Handlers under test: in process, signed in without the form, and with a clock that the test moves.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::COOKIE;
use session_kit::{Clock, ManualClock, MemoryStore};
use tower::ServiceExt;

use super::*;

#[tokio::test]
async fn devices_are_shown_to_their_user_until_the_session_expires() -> Result<(), Box<dyn StdError>>
{
    let hands = ManualClock::at_unix_ms(1_764_000_000_000);
    let config = config().clock(Clock::manual(&hands)).build()?;
    let sessions = SessionManager::new(MemoryStore::new(), config);
    let app = app(sessions.clone())?;

    let ada = sessions.begin(None, Some("a browser"))?;
    ada.login(Owner::new("ada")?);
    let issued = ada.issue().await?;
    let cookie = format!("{}={}", sessions.config().cookie_name(), issued.token);

    let devices = async |cookie: &str| {
        let request = Request::get("/devices").header(COOKIE, cookie);
        let response = app.clone().oneshot(request.body(Body::empty())?).await?;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 4096).await?;
        Ok::<_, Box<dyn StdError>>((status, String::from_utf8(body.to_vec())?))
    };
    let (status, list) = devices(&cookie).await?;
    assert_eq!(status, 200);
    assert!(
        list.starts_with("* ") && list.contains("a browser"),
        "{list}"
    );
    let refused = (401, "please sign in\n".to_owned());
    assert_eq!(devices("").await?, refused);

    hands.advance(Duration::from_secs(29 * 60));
    assert_eq!(devices(&cookie).await?.0, 200);
    hands.advance(Duration::from_secs(31 * 60));
    assert_eq!(devices(&cookie).await?, refused);
    Ok(())
}
