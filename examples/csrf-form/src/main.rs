//! A form that another site's page cannot send in its visitor's name.
//!
//! The page carries a token of the session: in a hidden field of its form, and in a `meta` tag
//! for its script, which sends it as the header `x-csrf-token`. Another site can make the browser
//! send a form but cannot read the token. The `CsrfLayer` refuses with 403, before any handler,
//! what comes without it, and what the browser says is from another site. The token's text is
//! another in each response, and all of them stay good until the next login.
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
//! curl -i -b jar -H "origin: https://evil.example" -d csrf_token=$token $at/address   # 403
//! curl -b jar -X POST -H "x-csrf-token: $token" $at/likes                        # 1
//! ```

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Router};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;
use session_kit::axum::{CsrfLayer, Error, Session, SessionLayer};
use session_kit::http::CsrfGuard;
use session_kit::{MemoryStore, SessionConfig, SessionManager};
use tokio::net::TcpListener;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

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
}

/// What the form posts; its token was taken out by the layer.
async fn change_address(session: Session, Form(form): Form<Address>) -> Result<Redirect, Error> {
    session.insert("address", form.address)?;
    Ok(Redirect::to("/"))
}

/// What the script posts.
async fn like(session: Session) -> Result<String, Error> {
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
    // Why a request failed is told here alone; stdout has the address.
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_writer(std::io::stderr)
        .init();

    let config = SessionConfig::builder()
        // For a laptop without HTTPS; leave both lines out everywhere else.
        .secure(false)
        .cookie_name("sid")
        .build()?;
    let sessions = SessionManager::new(MemoryStore::new(), config);
    let _sweeper = sessions.start_sweeper(Duration::from_secs(60));
    let app = Router::new()
        .route("/", get(page))
        .route("/address", post(change_address))
        .route("/likes", post(like))
        .layer(CsrfLayer::new(CsrfGuard::default()))
        // Added later, so further out: the guard asks for its sessions.
        .layer(SessionLayer::new(sessions));

    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
