//! The one page of the demo, from a plain model to HTML.
//!
//! Everything is a link or a form that posts and is answered by a redirect, so the page needs no
//! script; it carries its stylesheet in itself and asks for nothing else. [`csp`] is the policy
//! to send along, which holds a browser to that.
//!
//! Markup is written with maud, which escapes whatever the model brings.

use std::sync::LazyLock;

use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::agent;
use crate::lang::{Language, Texts};

/// What the page shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// The language it speaks.
    pub language: Language,
    /// Who is logged in, if anybody.
    pub user: Option<&'a str>,
    /// The session's counter.
    pub count: u64,
    /// Categories and texts to show once. The categories `success`, `warning` and `error` have
    /// a look of their own.
    pub flashes: &'a [(String, String)],
    /// The user's sessions; their section is left out where there is none.
    pub devices: &'a [Device],
    /// Whether the user's other sessions can be ended though they cannot be listed.
    pub ends_unlisted: bool,
    /// The session's token for its forms; `None` while there is no session.
    pub csrf: Option<&'a str>,
    /// The store in use, by a name without credentials.
    pub store: &'a str,
    /// The framework in use.
    pub framework: &'a str,
}

/// One session of the user's.
#[derive(Clone, Debug)]
pub struct Device {
    /// What `POST /devices/revoke` calls it.
    pub handle: String,
    /// When it logged in: RFC 3339, in UTC.
    pub created: String,
    /// When it was last seen: RFC 3339, in UTC.
    pub seen: String,
    /// Where it logged in from; may be empty.
    pub ip: String,
    /// The `User-Agent` it logged in with; may be empty.
    pub user_agent: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// The value of the `Content-Security-Policy` header to send with the page: its own stylesheet,
/// its icon, forms to its own origin, and nothing else.
///
/// # Source
///
/// Content Security Policy Level 3, sections 2.3.1 (hashes) and 6.4.1 (`form-action`).
pub fn csp() -> &'static str {
    // Hashed at start rather than written down, so that editing the stylesheet is enough.
    static CSP: LazyLock<String> = LazyLock::new(|| {
        let hash = BASE64.encode(&Sha256::digest(STYLE));
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'"
        )
    });
    &CSP
}

/// The page as a whole HTML document.
pub fn render(page: &Page<'_>) -> String {
    let texts = page.language.texts();
    html! {
        (DOCTYPE)
        html lang=(page.language.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "session-kit demo" }
                // Without one, browsers ask for /favicon.ico.
                link rel="icon" href=(ICON);
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.brand { "session-kit" }
                    (languages(page.language, texts))
                }
                main {
                    (flashes(page.flashes))
                    (greeting(page, texts))
                    (counter(page, texts))
                    @if !page.devices.is_empty() { (devices(page, texts)) }
                    @if page.csrf.is_some() { (transfer(page, texts)) }
                }
                footer {
                    p {
                        (texts.kept_in) strong { (page.store) }
                        (texts.served_by) strong { (page.framework) } "."
                    }
                    p { a href="/me" { (texts.as_json) } }
                }
            }
        }
    }
    .into_string()
}

fn languages(spoken: Language, texts: &Texts) -> Markup {
    html! {
        nav aria-label=(texts.languages) {
            ul {
                @for language in Language::ALL {
                    @let code = language.code();
                    @let current = (language == spoken).then_some("true");
                    li {
                        a href={ "/lang/" (code) } lang=(code) hreflang=(code) aria-current=[current] {
                            (language.name())
                        }
                    }
                }
            }
        }
    }
}

fn flashes(flashes: &[(String, String)]) -> Markup {
    html! {
        div #flash role="status" {
            @for (category, text) in flashes {
                @let look = ["success", "warning", "error"].into_iter().find(|look| look == category);
                p.flash.(look.unwrap_or("info")) { (text) }
            }
        }
    }
}

fn greeting(page: &Page<'_>, texts: &Texts) -> Markup {
    html! {
        section.greeting {
            h1 { (page.language.hello(page.user)) }
            @if page.user.is_some() {
                p { (texts.signed_in) }
                form method="post" action="/logout" {
                    (csrf_token(page))
                    button { (texts.sign_out) }
                }
                @if page.ends_unlisted { (revoke_others(page, texts)) }
            } @else {
                p { (texts.signed_out) }
                form.line method="post" action="/login" {
                    (csrf_token(page))
                    div.field {
                        label for="user" { (texts.user) }
                        input #user name="user" required autocomplete="username"
                            autocapitalize="none" spellcheck="false";
                    }
                    button.primary { (texts.sign_in) }
                }
            }
        }
    }
}

fn counter(page: &Page<'_>, texts: &Texts) -> Markup {
    html! {
        section.counter aria-labelledby="counter" {
            h2 #counter { (texts.counter) }
            p #count { (page.count) }
            form method="post" action="/" {
                (csrf_token(page))
                input type="hidden" name="action" value="count";
                button.primary { (texts.count) }
            }
            p.hint { (texts.counter_hint) }
        }
    }
}

fn devices(page: &Page<'_>, texts: &Texts) -> Markup {
    html! {
        section.devices aria-labelledby="devices" {
            h2 #devices { (texts.devices) }
            p.hint { (texts.devices_hint) }
            ul {
                @for one in page.devices { (device(page, texts, one)) }
            }
            @if page.devices.iter().any(|device| !device.current) { (revoke_others(page, texts)) }
        }
    }
}

fn revoke_others(page: &Page<'_>, texts: &Texts) -> Markup {
    html! {
        form method="post" action="/devices/revoke" {
            (csrf_token(page))
            input type="hidden" name="others" value="1";
            button { (texts.revoke_others) }
        }
    }
}

fn device(page: &Page<'_>, texts: &Texts, device: &Device) -> Markup {
    let name = match agent::name(&device.user_agent) {
        Some((browser, system)) => page.language.browser_on(browser, system),
        None => texts.unknown_device.to_owned(),
    };
    let moment = |at: &str| html! { time datetime=(at) { (page.language.moment(at)) } };
    html! {
        li {
            div.device {
                p.name {
                    span { (name) }
                    @if device.current { " " span.badge { (texts.this_device) } }
                }
                p.facts {
                    @if !device.ip.is_empty() { span { (device.ip) } " " }
                    span { (texts.since) " " (moment(&device.created)) } " "
                    span { (texts.seen) " " (moment(&device.seen)) }
                }
                @if !device.user_agent.is_empty() && device.user_agent != name {
                    p.agent title=(device.user_agent) { (device.user_agent) }
                }
            }
            form method="post" action="/devices/revoke" {
                (csrf_token(page))
                input type="hidden" name="handle" value=(device.handle);
                // The visible words come first, for those who speak to their browser.
                button aria-label={ (texts.revoke) ": " (name) } { (texts.revoke) }
            }
        }
    }
}

fn transfer(page: &Page<'_>, texts: &Texts) -> Markup {
    html! {
        section.transfer aria-labelledby="transfer" {
            h2 #transfer { (texts.transfer) }
            p.hint { (texts.transfer_hint) }
            form.line method="post" action="/transfer" {
                (csrf_token(page))
                div.field {
                    label for="amount" { (texts.amount) }
                    input #amount name="amount" inputmode="numeric" required autocomplete="off";
                }
                button { (texts.send) }
            }
        }
    }
}

fn csrf_token(page: &Page<'_>) -> Markup {
    html! {
        @if let Some(token) = page.csrf {
            input type="hidden" name="csrf_token" value=(token);
        }
    }
}

const STYLE: &str = include_str!("page.css");

const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' \
    viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='8' fill='%230b5d57'/%3E%3Ccircle \
    cx='16' cy='16' r='7' fill='none' stroke='%23fff' stroke-width='4'/%3E%3C/svg%3E";

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "\"><script>alert(1)</script><a title='&amp;";

    fn device(text: &str) -> Device {
        Device {
            handle: text.to_owned(),
            created: text.to_owned(),
            seen: text.to_owned(),
            ip: text.to_owned(),
            user_agent: text.to_owned(),
            current: true,
        }
    }

    #[test]
    fn hostile_text_stays_text_wherever_it_comes_from() {
        let flashes = [(HOSTILE.to_owned(), HOSTILE.to_owned())];
        let html = render(&Page {
            user: Some(HOSTILE),
            flashes: &flashes,
            devices: &[device(HOSTILE)],
            csrf: Some(HOSTILE),
            store: HOSTILE,
            framework: HOSTILE,
            ..Page::default()
        });
        assert!(!html.contains("<script"), "{html}");
        assert!(!html.contains("<a title"), "{html}");
        assert!(
            html.contains(
                "<h1>Hello, &quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;a title='&amp;amp;."
            ),
            "{html}"
        );
    }

    #[test]
    fn forms_carry_a_token_only_once_there_is_a_session() {
        let page = Page {
            user: Some("ada"),
            devices: &[device("a"), device("b")],
            ..Page::default()
        };
        assert!(!render(&page).contains("csrf_token"));

        let html = render(&Page {
            csrf: Some("masked"),
            ..page
        });
        let token = "<input type=\"hidden\" name=\"csrf_token\" value=\"masked\">";
        assert_eq!(html.matches("<form").count(), 5);
        assert_eq!(html.matches(token).count(), 5);
    }

    #[test]
    fn other_devices_can_be_signed_out_only_where_there_are_some() {
        let mut devices = [device("here"), device("there")];
        devices[1].current = false;
        let all_others = "name=\"others\" value=\"1\"";
        let page = |devices| {
            render(&Page {
                user: Some("ada"),
                devices,
                ..Page::default()
            })
        };
        assert!(!page(&[]).contains("/devices/revoke"));
        assert!(!page(&devices[..1]).contains(all_others));
        assert!(page(&devices).contains(all_others));
        for user in [None, Some("ada")] {
            let html = render(&Page {
                user,
                ends_unlisted: true,
                ..Page::default()
            });
            assert_eq!(
                html.contains(all_others),
                user.is_some(),
                "who they are is not known"
            );
        }
    }

    #[test]
    fn the_page_asks_nobody_for_anything() {
        let html = render(&Page {
            csrf: Some("masked"),
            ..Page::default()
        });
        for outside in [
            "<script", " src=", "url(", "@import", "https://", "style=\"", "\" on",
        ] {
            assert!(!html.contains(outside), "{outside} is in:\n{html}");
        }
    }

    #[test]
    fn the_policy_names_the_stylesheet_that_is_on_the_page() {
        let html = render(&Page::default());
        let (_, rest) = html
            .split_once("<style>")
            .expect("the page has a stylesheet");
        let (style, _) = rest.split_once("</style>").expect("the stylesheet ends");
        let hash = BASE64.encode(&Sha256::digest(style));
        assert!(csp().contains(&format!("style-src 'sha256-{hash}';")));
    }
}
