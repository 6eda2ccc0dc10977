//! Requests that another site's page made the browser send are refused, before the handler.

use std::fmt;
use std::sync::Arc;

use super::check::is_token_octet;
use super::exchange::Exchange;
use super::form::{Taken, take_field};
use super::opening::address_of;
use super::origin;
use super::reply::Reply;
use super::transport::RequestHead;
use crate::error::{Error, ErrorKind};
use crate::event::{EventKind, Rejection};
use crate::session::Session;

/// What is checked of requests that change something; made once, cheap to clone.
///
/// - Methods that promise to change nothing (`GET`, `HEAD`, `OPTIONS`, `TRACE`) pass, and nothing of
///   the session is looked at.
/// - A WebSocket, which begins with a `GET` or, over HTTP/2, with a `CONNECT`, must come from the
///   application's own pages or from a trusted origin: to a page of another site the browser would
///   hand what it says. It can bring no token.
/// - The method is the one that the guard sees: a layer that takes it from elsewhere, such as
///   `X-HTTP-Method-Override`, belongs outside of it.
/// - Everything else must come from the application's own pages or from a trusted origin (rule X2):
///   `Sec-Fetch-Site` says so, or else `Origin` names the host that was asked. Who sends neither is
///   no browser that another site could misuse.
/// - And it must carry the session's [CSRF token](Session::csrf_token) (rule X3): in a header, or in a
///   field of a form of the type `application/x-www-form-urlencoded`. The field is taken out of the
///   body before the handler sees it, which may refuse fields that it does not know. A session that
///   has no token yet lets nothing pass; the check stores nothing.
///
/// Bodies of other types carry the token in the header: in JSON the field would be the
/// application's own, and a form of the type `multipart/form-data` may be an upload, which no
/// layer should hold in memory. Nor is anything decompressed: a compressed form, too, needs the
/// header, or a layer further out that decompresses it. A form that uploads without a script can
/// send no header: put a guard that looks at the [headers alone](CsrfGuardBuilder::headers_only)
/// outside of one that exempts the upload, and let its handler call
/// [`verify_csrf`](Session::verify_csrf) with the field.
///
/// A proxy in front of the application has to pass `Host` on as the browser sent it. Behind one that
/// rewrites it, `Origin` names another host than the one that was asked, and browsers that send no
/// `Sec-Fetch-Site` (those of before 2023, and any over plain HTTP) are refused the application's own
/// forms. Where the proxy cannot be changed, name the public origin in
/// [`trusted_origins`](CsrfGuardBuilder::trusted_origins). `X-Forwarded-Host` is not believed, since
/// anyone can send it. What was compared is in the refusal's line of the log, at the level of debug.
///
/// A session's token that travels in a header rather than in a cookie ([`Transport`](super::Transport))
/// is nothing that a browser adds by itself, so such sessions need no guard.
///
/// The default checks origin and token, and trusts and exempts nothing.
///
/// # Front ends of another origin
///
/// A page of another origin is refused, also one of the same site: one of `https://app.example.com`
/// that calls `https://api.example.com`. Name its origin in
/// [`trusted_origins`](CsrfGuardBuilder::trusted_origins). It has to send the token all the same: a
/// handler gives it out, and it comes back in the [header](CsrfGuardBuilder::token_header).
///
/// Whether it may read the answers is for CORS to say, another layer's business. That layer, with
/// credentials and the token's header allowed, belongs outside of this guard's layer and of the
/// sessions'. Else what those two answer by themselves, such as 403 and 503, lacks its headers, and the
/// page cannot read it.
///
/// `SameSite=None` is needed only for a page of another *site*, such as `https://example.org`. Hosts
/// that share a registrable domain and the scheme are one site, and `Lax` and `Strict` let their
/// requests carry the cookie; the page asks for it, by `credentials: "include"`.
///
/// ```
/// use session_core::http::CsrfGuard;
///
/// let guard = CsrfGuard::builder()
///     .trusted_origins(["https://app.example.com"])
///     .exempt(|_method, path| path.starts_with("/webhooks/"))
///     .build()?;
/// # let _ = guard;
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// # Source
///
/// OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Synchronizer Token Pattern", "Fetch
/// Metadata headers" and "Verifying Origin With Standard Headers"; RFC 6454 section 7.
#[derive(Clone)]
pub struct CsrfGuard(Arc<Options>);

#[derive(Clone)]
struct Options {
    trusted_origins: Vec<String>,
    headers_only: bool,
    token_header: String,
    token_field: String,
    body_bytes_max: usize,
    exempt: Vec<Exempt>,
}

type Exempt = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

impl CsrfGuard {
    /// A guard to be given options.
    #[must_use]
    pub fn builder() -> CsrfGuardBuilder {
        CsrfGuardBuilder(Self::default().0.as_ref().clone())
    }

    /// The first look at a request: at its head alone, and at no session.
    ///
    /// For an adapter, which brings the exchange and, for a form, the body to what comes of it.
    /// `exchange` is `None` where no layer has begun one.
    ///
    /// `path` is the target's path as it was sent, without the query.
    #[must_use]
    pub fn check(
        &self,
        method: &str,
        path: &str,
        head: &impl RequestHead,
        exchange: Option<&Exchange>,
    ) -> Check {
        let options = &self.0;
        let opens_socket = opens_socket(method, head);
        let promises_no_change = matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE");
        if (promises_no_change && !opens_socket)
            || options.exempt.iter().any(|exempt| exempt(method, path))
        {
            return Check::Pass;
        }
        if origin::is_foreign(head, &options.trusted_origins) {
            tell(exchange, head, Rejection::CsrfOrigin);
            return Check::Refuse(refuse_foreign(method, head));
        }
        if options.headers_only || opens_socket {
            return Check::Pass;
        }
        let mut sent = Vec::new();
        head.each_header(&options.token_header, &mut |line| sent.push(line));
        let given = match sent[..] {
            [] if is_form(head) => Given::InForm,
            [line] => Given::InHeader(String::from_utf8_lossy(line).into_owned()),
            // Which of two is meant, nobody can say.
            _ => {
                tell(exchange, head, Rejection::CsrfToken);
                return Check::Refuse(refuse(method, TOKEN));
            }
        };
        if matches!(given, Given::InForm) && announced(head) > options.body_bytes_max {
            return Check::Refuse(refuse(method, TOO_LARGE));
        }
        Check::Token(TokenCheck {
            guard: self.clone(),
            method: method.to_owned(),
            given,
        })
    }
}

impl Default for CsrfGuard {
    fn default() -> Self {
        Self(Arc::new(Options {
            trusted_origins: Vec::new(),
            headers_only: false,
            token_header: "x-csrf-token".to_owned(),
            token_field: "csrf_token".to_owned(),
            body_bytes_max: 2 * 1024 * 1024,
            exempt: Vec::new(),
        }))
    }
}

impl fmt::Debug for CsrfGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfGuard")
            .field("trusted_origins", &self.0.trusted_origins)
            .field("headers_only", &self.0.headers_only)
            .field("token_header", &self.0.token_header)
            .field("token_field", &self.0.token_field)
            .field("body_bytes_max", &self.0.body_bytes_max)
            .finish_non_exhaustive()
    }
}

/// Options of a [`CsrfGuard`], checked together by [`build`](Self::build).
#[derive(Clone)]
pub struct CsrfGuardBuilder(Options);

impl CsrfGuardBuilder {
    /// Other origins whose pages may send requests, as `https://app.example.com`, with the port where
    /// it is not the scheme's default. Calls add up.
    ///
    /// They pass the check of the origin; the token they have to send all the same. Behind a proxy that
    /// rewrites `Host`, the application's own public origin belongs here.
    ///
    /// # Default
    ///
    /// None.
    #[must_use]
    pub fn trusted_origins<O: Into<String>>(
        mut self,
        origins: impl IntoIterator<Item = O>,
    ) -> Self {
        let origins = origins.into_iter().map(Into::into);
        self.0.trusted_origins.extend(origins);
        self
    }

    /// Whether only the headers that browsers add are looked at, and no token is asked for.
    ///
    /// The guard then needs no session, and may stand outside of the sessions' layer.
    ///
    /// # Default
    ///
    /// `false`: browsers of before 2020 do not send all of these headers.
    #[must_use]
    pub fn headers_only(mut self, headers_only: bool) -> Self {
        self.0.headers_only = headers_only;
        self
    }

    /// The request header that carries the token. Where it is sent it decides, and the body is not
    /// looked at.
    ///
    /// # Default
    ///
    /// `x-csrf-token`.
    #[must_use]
    pub fn token_header(mut self, name: impl Into<String>) -> Self {
        self.0.token_header = name.into().to_ascii_lowercase();
        self
    }

    /// The field of a form that carries the token. It may come once.
    ///
    /// # Default
    ///
    /// `csrf_token`.
    #[must_use]
    pub fn token_field(mut self, name: impl Into<String>) -> Self {
        self.0.token_field = name.into();
        self
    }

    /// The longest form that is searched for the token, in bytes; a longer one is answered with
    /// 413. Bodies of other types are passed on unread, of whatever length.
    ///
    /// # Default
    ///
    /// 2 MiB.
    ///
    /// # Cost
    ///
    /// So much memory for each request that sends a form.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.0.body_bytes_max = bytes;
        self
    }

    /// Requests that are not checked, by method and by path as it was sent: those of programs, which
    /// identify themselves otherwise. Calls add up.
    ///
    /// # Default
    ///
    /// None.
    #[must_use]
    pub fn exempt(mut self, exempt: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        self.0.exempt.push(Arc::new(exempt));
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: a trusted origin is none, the header's name is no header's, the
    /// field's is empty, or no form would be short enough.
    pub fn build(self) -> Result<CsrfGuard, Error> {
        let invalid = |message: String| Err(Error::new(ErrorKind::Invalid, message));
        let mut options = self.0;
        for origin in &mut options.trusted_origins {
            *origin = origin::checked(origin)?;
        }
        let header = &options.token_header;
        let reserved = ["cookie", "content-type", "content-length", "host", "origin"];
        if header.is_empty()
            || !header.bytes().all(is_token_octet)
            || reserved.contains(&header.as_str())
        {
            return invalid(format!(
                "{header:?} cannot be the CSRF token's header: choose a name like x-csrf-token"
            ));
        }
        if options.token_field.is_empty() {
            return invalid(
                "the CSRF token's field has no name: choose one like csrf_token".into(),
            );
        }
        if options.body_bytes_max == 0 {
            return invalid("no form fits into body_bytes_max: choose a limit in bytes".into());
        }
        Ok(CsrfGuard(Arc::new(options)))
    }
}

impl fmt::Debug for CsrfGuardBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        CsrfGuard(Arc::new(self.0.clone())).fmt(f)
    }
}

/// What a request's head came to.
#[derive(Debug)]
pub enum Check {
    /// It goes to the handler as it is.
    Pass,
    /// It is answered with this.
    Refuse(Reply),
    /// Its token is to be compared with the session's.
    Token(TokenCheck),
}

/// A request whose token is to be checked.
pub struct TokenCheck {
    guard: CsrfGuard,
    method: String,
    given: Given,
}

enum Given {
    InHeader(String),
    InForm,
}

impl TokenCheck {
    /// Compares the token with that of the exchange's session, or begins to: a form's is still to
    /// come. `exchange` is `None` where no layer has begun one.
    ///
    /// A refused request does not extend the session's life.
    ///
    /// # Errors
    ///
    /// The answer: 403, or what the failure to load the session becomes.
    pub async fn open(
        self,
        exchange: Option<Exchange>,
        head: &impl RequestHead,
    ) -> Result<Option<FormCheck>, Reply> {
        let Some(exchange) = exchange else {
            let why = "checking the CSRF token failed: a SessionLayer belongs around the CsrfLayer";
            tracing::error!(target: "session", "{why}");
            return Err(Error::new(ErrorKind::NoLayer, why).answer());
        };
        let session = exchange.session(head).await;
        self.against(&session.map_err(|error| error.reply())?)
    }

    fn against(self, session: &Session) -> Result<Option<FormCheck>, Reply> {
        match &self.given {
            Given::InHeader(token) => self.verify(session, token).map(|()| None),
            // There is nothing to read a body for.
            Given::InForm if !session.has_csrf_token() => Err(self.refuse(session, TOKEN)),
            Given::InForm => Ok(Some(FormCheck {
                session: session.clone(),
                check: self,
                body: Vec::new(),
            })),
        }
    }

    fn verify(&self, session: &Session, token: &str) -> Result<(), Reply> {
        let verified = session.verify_csrf(token);
        verified.map_err(|_| self.refuse(session, TOKEN))
    }

    fn refuse(&self, session: &Session, refusal: Refusal) -> Reply {
        session.keep_expiry();
        if refusal == TOKEN {
            let (id, owner, address) = (session.id(), session.owner(), session.client_address());
            let kind = EventKind::Rejected(Rejection::CsrfToken);
            session.manager().tell(kind, id, owner.as_ref(), address);
        }
        refuse(&self.method, refusal)
    }
}

impl fmt::Debug for TokenCheck {
    /// Shows no token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCheck").finish_non_exhaustive()
    }
}

/// A form whose token is still to be found: [`push`](Self::push) what comes, then
/// [`finish`](Self::finish).
pub struct FormCheck {
    session: Session,
    check: TokenCheck,
    body: Vec<u8>,
}

impl FormCheck {
    /// Takes the next bytes of the body.
    ///
    /// # Errors
    ///
    /// The answer, 413: the body is too long. The rest need not be read.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Reply> {
        if bytes.len() > self.check.guard.0.body_bytes_max - self.body.len() {
            return Err(self.check.refuse(&self.session, TOO_LARGE));
        }
        self.body.extend_from_slice(bytes);
        Ok(())
    }

    /// The answer to a body that broke off: 400.
    #[must_use]
    pub fn broken(self) -> Reply {
        self.check.refuse(&self.session, BROKEN)
    }

    /// Checks the token, and gives the body without its field: the others as they came, in order.
    ///
    /// # Errors
    ///
    /// The answer, 403.
    pub fn finish(mut self) -> Result<Vec<u8>, Reply> {
        match take_field(&mut self.body, &self.check.guard.0.token_field) {
            Taken::Once(token) => {
                self.check.verify(&self.session, &token)?;
                Ok(self.body)
            }
            Taken::Never | Taken::Several => Err(self.check.refuse(&self.session, TOKEN)),
        }
    }
}

impl fmt::Debug for FormCheck {
    /// Shows nothing of the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormCheck").finish_non_exhaustive()
    }
}

/// Tells of a refusal by the head alone: the session is not looked at.
fn tell(exchange: Option<&Exchange>, head: &impl RequestHead, why: Rejection) {
    if let Some(exchange) = exchange {
        let manager = exchange.manager();
        let address = address_of(head, manager.config());
        manager.tell(EventKind::Rejected(why), None, None, address);
    }
}

/// Whether a WebSocket begins with the request (RFC 6455 section 4.1, RFC 8441 section 4). It can bring
/// no token.
fn opens_socket(method: &str, head: &impl RequestHead) -> bool {
    let mut upgrades = method == "CONNECT";
    if method == "GET" {
        head.each_header("upgrade", &mut |line| {
            let mut protocols = line.split(|byte| *byte == b',');
            upgrades |= protocols.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"));
        });
    }
    upgrades
}

/// Kind, status and text of a refusal.
type Refusal = (ErrorKind, u16, &'static str);

const FOREIGN: Refusal = (
    ErrorKind::Csrf,
    403,
    "the request was refused: it comes from another site",
);
const TOKEN: Refusal = (
    ErrorKind::Csrf,
    403,
    "the request was refused: its CSRF token is missing or wrong",
);
const TOO_LARGE: Refusal = (ErrorKind::TooLarge, 413, "the request's body is too large");
const BROKEN: Refusal = (ErrorKind::Invalid, 400, "the body broke off");

/// Tells what was compared, too: behind a proxy that rewrites `Host` it is the application's own form
/// that is refused.
fn refuse_foreign(method: &str, head: &impl RequestHead) -> Reply {
    let (_, status, why) = FOREIGN;
    tracing::debug!(
        target: "session",
        method,
        status,
        why,
        site = ?origin::shown(head, "sec-fetch-site"),
        origin = ?origin::shown(head, "origin"),
        host = ?origin::shown_host(head),
        "a request was refused before its handler"
    );
    reply(FOREIGN)
}

fn refuse(method: &str, refusal: Refusal) -> Reply {
    let (_, status, why) = refusal;
    // Anybody can be refused at will: a flood of requests must not become a flood of lines.
    tracing::debug!(target: "session", method, status, why, "a request was refused before its handler");
    reply(refusal)
}

fn reply((kind, status, why): Refusal) -> Reply {
    Reply {
        no_store: true,
        ..Reply::text(kind, status, why)
    }
}

fn is_form(head: &impl RequestHead) -> bool {
    let (mut lines, mut form) = (0, false);
    head.each_header("content-type", &mut |line| {
        let kind = line.split(|byte| *byte == b';').next().unwrap_or_default();
        lines += 1;
        form = kind
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/x-www-form-urlencoded");
    });
    lines == 1 && form
}

/// How long the body says it is; what it really is shows when it is read.
fn announced(head: &impl RequestHead) -> usize {
    let mut length = 0;
    head.each_header("content-length", &mut |line| {
        let text = std::str::from_utf8(line).unwrap_or_default().trim();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits {
            // Longer than a number of this size is too long as well.
            length = text.parse().unwrap_or(usize::MAX);
        }
    });
    length
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
