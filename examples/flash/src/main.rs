//! A message on the next page, shown once: post, redirect, get.
//!
//! The form's handler leaves a message in the session and redirects; the page takes the message
//! and shows it. Reloading the page sends no form again and shows no message again, and of two
//! tabs that load at once exactly one shows it.
//!
//! ```sh
//! cargo run -p flash
//! at=http://127.0.0.1:8080
//! curl -L -c jar -b jar -d text=milk $at/notes    # … <p class="success">Noted: milk</p> …
//! curl -c jar -b jar $at/                         # the note, and no message any more
//! curl -L -c jar -b jar -d text= $at/notes        # … <p class="error">A note needs some text.</p> …
//! ```

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::Duration;

use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Router};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use session_kit::axum::{Error, Session, SessionLayer};
use session_kit::{MemoryStore, SessionConfig, SessionManager};
use tokio::net::TcpListener;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

async fn page(session: Session) -> Result<Markup, Error> {
    // Taken, and stored as taken, before anything is shown.
    let flashes = session.take_flashes().await?;
    let notes: Vec<String> = session.get("notes")?.unwrap_or_default();
    Ok(html! {
        (DOCTYPE)
        title { "Notes" }
        style { ".success { color: green } .error { color: crimson }" }
        @for flash in &flashes {
            p class=(flash.category) { (flash.text) }
        }
        form method="post" action="/notes" {
            input name="text" aria-label="Note" autofocus;
            button { "Note it" }
        }
        ul {
            @for note in &notes {
                li { (note) }
            }
        }
    })
}

#[derive(Deserialize)]
struct Note {
    text: String,
}

async fn note(session: Session, Form(note): Form<Note>) -> Result<Redirect, Error> {
    let text = note.text.trim();
    if text.is_empty() {
        session.flash("error", "A note needs some text.")?;
    } else {
        session.append("notes", text)?;
        session.flash("success", format!("Noted: {text}"))?;
    }
    // 303: the browser fetches the page with GET.
    Ok(Redirect::to("/"))
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
        .route("/notes", post(note))
        .layer(SessionLayer::new(sessions));

    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
