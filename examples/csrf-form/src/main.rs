//! A form that another site's page cannot send in its visitor's name.
//!
//! The page carries a token of the session: in a hidden field of its form, and in a `meta` tag
//! for its script, which sends it as the header `x-csrf-token`. Another site can make the browser
//! send a form but cannot read the token, so a request without it is refused with 403. The
//! token's text is another in each response, and all of them stay good until the next login.
//!
//! `SameSite=Lax`, the cookie's default, keeps the session out of most such requests already;
//! not out of those of a sibling domain, nor in old browsers.
//!
//! ```sh
//! cargo run -p csrf-form
//! at=http://127.0.0.1:8080
//! token=$(curl -s -c jar -b jar $at/ | grep -o 'content="[^"]*"' | cut -d'"' -f2)
//! curl -i -b jar -d address=eve@example.com $at/address                          # 403
//! curl -i -b jar -d address=ada@example.com -d csrf_token=$token $at/address     # 303
//! curl -b jar -X POST -H "x-csrf-token: $token" $at/likes                        # 1
//! ```

use std::error::Error as StdError;
use std::net::SocketAddr;

use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Router};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;
use session_kit::axum::{Error, Session, SessionLayer};
use session_kit::{MemoryStore, SessionConfig, SessionManager};
use tokio::net::TcpListener;

async fn page(session: Session) -> Result<Markup, Error> {
    let token = session.csrf_token()?;
    let address: Option<String> = session.get("address")?;
    let likes = session.get::<u64>("likes")?.unwrap_or(0);
    Ok(html! {
        (DOCTYPE)
        title { "Settings" }
        meta name="csrf-token" content=(token);
        p { "Your address: " (address.as_deref().unwrap_or("none")) }
        form method="post" action="/address" {
            input type="hidden" name="csrf_token" value=(token);
            input name="address" aria-label="New address";
            button { "Change" }
        }
        button id="like" { "Like" } " " output { (likes) }
        script { (PreEscaped(include_str!("like.js"))) }
    })
}

#[derive(Deserialize)]
struct Address {
    address: String,
    /// Empty where it is missing, which is refused like a wrong one.
    #[serde(default)]
    csrf_token: String,
}

/// What the form posts.
async fn change_address(session: Session, Form(form): Form<Address>) -> Result<Redirect, Error> {
    session.verify_csrf(&form.csrf_token)?;
    session.insert("address", form.address)?;
    Ok(Redirect::to("/"))
}

/// What the script posts.
async fn like(session: Session, headers: HeaderMap) -> Result<String, Error> {
    let token = headers
        .get("x-csrf-token")
        .and_then(|value| value.to_str().ok());
    session.verify_csrf(token.unwrap_or_default())?;
    let likes = session
        .transact(|s| {
            let likes = s.get::<u64>("likes")?.unwrap_or(0) + 1;
            s.insert("likes", likes)?;
            Ok(likes)
        })
        .await?;
    Ok(format!("{likes}\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let config = SessionConfig::builder()
        // For a laptop without HTTPS; leave both lines out everywhere else.
        .secure(false)
        .cookie_name("sid")
        .build()?;
    let sessions = SessionManager::new(MemoryStore::new(), config);
    let app = Router::new()
        .route("/", get(page))
        .route("/address", post(change_address))
        .route("/likes", post(like))
        .layer(SessionLayer::new(sessions));

    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
