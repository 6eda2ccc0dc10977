//! Handlers under test: in process, signed in without the form, and with a clock that the test moves.

use actix_web::http::header::COOKIE;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use session_kit::{Clock, ManualClock, MemoryStore};

use super::*;

#[actix_web::test]
async fn devices_are_shown_to_their_user_until_the_session_expires() -> Result<(), Box<dyn StdError>>
{
    let hands = ManualClock::at_unix_ms(1_764_000_000_000);
    let config = config().clock(Clock::manual(&hands)).build()?;
    let sessions = SessionManager::new(MemoryStore::new(), config);
    let app = App::new()
        .app_data(Data::new(sessions.clone()))
        .wrap(SessionLayer::new(sessions.clone()))
        .configure(routes);
    let app = init_service(app).await;

    let ada = sessions.begin(None, Some("a browser"))?;
    ada.login(Owner::new("ada")?);
    let issued = ada.issue().await?;
    let cookie = format!("{}={}", sessions.config().cookie_name(), issued.token);

    let devices = async |cookie: &str| {
        let request = TestRequest::with_uri("/devices").insert_header((COOKIE, cookie));
        let response = call_service(&app, request.to_request()).await;
        let status = response.status().as_u16();
        let body = read_body(response).await;
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    let (status, list) = devices(&cookie).await;
    assert_eq!(status, 200);
    assert!(
        list.starts_with("* ") && list.contains("a browser"),
        "{list}"
    );
    let refused = (401, "please sign in\n".to_owned());
    assert_eq!(devices("").await, refused);

    hands.advance(Duration::from_secs(29 * 60));
    assert_eq!(devices(&cookie).await.0, 200);
    hands.advance(Duration::from_secs(31 * 60));
    assert_eq!(devices(&cookie).await, refused);
    Ok(())
}
