//! After the login, back to the page that was asked for.

use axum::extract::{FromRequestParts, OriginalUri, Query};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Form, Router};
use serde::Deserialize;
use session_kit::Owner;
use session_kit::axum::{Error, Session};

/// To the login page, which sends back to what was asked for.
pub(crate) async fn sign_in_first(parts: &mut Parts) -> Response {
    // The target as it came: inside of a nested router the request's own lacks the prefix.
    let Ok(OriginalUri(asked)) = OriginalUri::from_request_parts(parts, &()).await;
    let next = match asked.path_and_query() {
        Some(target) if parts.method == Method::GET => target.as_str(),
        // Nobody can be sent back to a form's target.
        _ => "/",
    };
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    Redirect::to(&format!("/login?next={next}")).into_response()
}

/// `next` if it is a path of this site; or else the front page.
fn on_this_site(next: &str) -> &str {
    // To a browser `//host` and `/\host` are other sites, and it reads over tabs and line breaks.
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let is_path = next.starts_with('/') && !next.starts_with("//") && next.bytes().all(plain);
    if is_path { next } else { "/" }
}

#[derive(Deserialize)]
struct To {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

async fn login(
    session: Session,
    Query(to): Query<To>,
    Form(form): Form<Credentials>,
) -> Result<Response, Error> {
    if !is_password_of(&form.name, &form.password) {
        return Ok((StatusCode::FORBIDDEN, "wrong name or password\n").into_response());
    }
    session.login(Owner::new(form.name)?);
    Ok(Redirect::to(on_this_site(&to.next)).into_response())
}

/// Without an `action` the form goes to the page's own address, `next` included.
async fn form() -> &'static str {
    "<form method=post><input name=name><input name=password type=password>..."
}

/// Stands in for a look at the database and a password hash such as Argon2.
fn is_password_of(name: &str, password: &str) -> bool {
    [("ada", "lovelace"), ("grace", "hopper")].contains(&(name, password))
}

/// The login page.
pub fn routes() -> Router {
    Router::new().route("/login", get(form).post(login))
}

#[test]
fn another_site_is_never_next() {
    for path in ["/", "/a/b?c=//d", "/a//b"] {
        assert_eq!(on_this_site(path), path);
    }
    for other in [
        "",
        "a",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/a\r\nSet-Cookie: b",
        "https://evil.example",
        "javascript:alert(1)",
    ] {
        assert_eq!(on_this_site(other), "/", "{other}");
    }
}
