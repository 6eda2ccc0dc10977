//! Request and response heads as core sees them.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use axum::extract::connect_info::MockConnectInfo;
use axum::extract::{ConnectInfo, OriginalUri};
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    SET_COOKIE, USER_AGENT, VARY,
};
use http::request::Parts;
use http::{Response, StatusCode, Uri};
use session_core::http::{Finished, Reply, RequestHead, ResponseHead};

use crate::layer::ReplyBody;

/// A request's head.
pub(crate) struct Head<'a>(pub(crate) &'a Parts);

impl RequestHead for Head<'_> {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        each(&self.0.headers, name, visit);
    }

    fn peer(&self) -> Option<IpAddr> {
        let extensions = &self.0.extensions;
        let address = match extensions.get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(address)) => address,
            // A test's, as axum's own extractor takes it.
            None => &extensions.get::<MockConnectInfo<SocketAddr>>()?.0,
        };
        Some(address.ip())
    }

    fn authority(&self) -> Option<&str> {
        Some(self.0.uri.authority()?.as_str())
    }

    fn target(&self) -> &str {
        received(self.0)
            .path_and_query()
            .map_or("", |target| target.as_str())
    }
}

/// The request's address as it was received: a nested router sees what follows its own.
pub(crate) fn received(parts: &Parts) -> &Uri {
    let original = parts.extensions.get::<OriginalUri>();
    original.map_or(&parts.uri, |original| &original.0)
}

/// A response's header fields.
struct Fields<'a>(&'a mut HeaderMap);

impl ResponseHead for Fields<'_> {
    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        each(self.0, name, visit);
    }

    fn append(&mut self, name: &str, value: Cow<'static, str>) {
        if let Some((name, mut value)) = field(name, value) {
            // A token, in whichever field: kept out of debug output and of header compression's tables.
            value.set_sensitive(name != VARY);
            self.0.append(name, value);
        }
    }

    fn replace(&mut self, name: &str, value: Cow<'static, str>) {
        if let Some((name, value)) = field(name, value) {
            self.0.insert(name, value);
        }
    }
}

/// The names core asks for are known, so that none is parsed for each request.
fn known(name: &str) -> Option<HeaderName> {
    Some(match name {
        "cookie" => COOKIE,
        "user-agent" => USER_AGENT,
        "vary" => VARY,
        "set-cookie" => SET_COOKIE,
        "cache-control" => CACHE_CONTROL,
        _ => return None,
    })
}

fn each<'a>(headers: &'a HeaderMap, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
    let values = match known(name) {
        Some(known) => headers.get_all(known),
        None => headers.get_all(name),
    };
    for value in values {
        visit(value.as_bytes());
    }
}

/// A field core has made; its names and values are checked there when the configuration is
/// built, so only a custom transport's can be refused.
fn field(name: &str, value: Cow<'static, str>) -> Option<(HeaderName, HeaderValue)> {
    let name = match known(name) {
        Some(known) => known,
        None => HeaderName::from_bytes(name.as_bytes()).ok()?,
    };
    let value = match value {
        Cow::Borrowed(text) => HeaderValue::from_static(text),
        Cow::Owned(text) => HeaderValue::try_from(text).ok()?,
    };
    Some((name, value))
}

/// The response that goes out: the handler's or the reply in its place, with its header fields.
pub(crate) fn dress<R: ReplyBody>(mut response: Response<R>, finished: Finished) -> Response<R> {
    let finished = finished.over(response.extensions_mut().remove::<Finished>());
    if let Some(reply) = finished.reply.clone() {
        response = reply_response(reply);
    }
    finished.apply(&mut Fields(response.headers_mut()));
    if let Some(carried) = finished.carried() {
        response.extensions_mut().insert(carried);
    }
    response
}

/// A reply as a response.
pub(crate) fn reply_response<R: ReplyBody>(reply: Reply) -> Response<R> {
    let mut response = Response::new(R::of_text(reply.body.into_owned()));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.extensions_mut().insert(reply.kind);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if let Some(seconds) = reply.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if reply.no_store {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
