//! The page in every state it can be in, without an application behind it.

use session_demo::lang::Language;
use session_demo::page::{Device, Page, render};

use crate::driver::Browser;
use crate::server::Server;

#[tokio::test]
async fn no_page_scrolls_sideways_on_a_narrow_screen() {
    let (server, browser) = (Server::start(), Browser::open().await);
    for (name, html) in states() {
        let url = server.serve("/", html);
        for width in [320, 360, 1280] {
            browser.resize(width, 800).await;
            browser.goto(&url).await;
            assert_eq!(
                browser.eval("return document.title").await,
                "session-kit demo"
            );
            let widths = browser.eval(WIDTHS).await;
            assert!(
                widths["content"].as_u64() <= widths["room"].as_u64() && widths["screen"] == width,
                "{name} at {width} pixels: {widths}"
            );
        }
    }
}

#[tokio::test]
async fn every_text_can_be_read_in_light_and_in_darkness() {
    let (server, browser) = (Server::start(), Browser::open().await);
    for (name, html) in states() {
        let url = server.serve("/", html);
        let mut backgrounds = vec![];
        for scheme in ["light", "dark"] {
            browser.prefer(scheme).await;
            for (width, size) in [(1000, "desktop"), (360, "phone")] {
                browser.resize(width, 800).await;
                browser.goto(&url).await;
                let picture = browser
                    .screenshot(&format!("{name}-{size}-{scheme}.png"))
                    .await;
                assert!(picture.is_file());
            }
            backgrounds.push(browser.eval(BACKGROUND).await);

            let faint = browser.eval(FAINT_TEXTS).await;
            assert_eq!(faint, serde_json::json!([]), "{name}, {scheme}");
        }
        assert_ne!(backgrounds[0], backgrounds[1], "{name}");
    }
}

#[tokio::test]
async fn without_scripts_every_form_sends_what_its_route_expects() {
    let (server, browser) = (Server::start(), Browser::open().await);
    browser.without_scripts().await;

    let probe = "<title>off</title><p>off</p><script>document.title = 'on'</script>";
    // Only this page comes without the policy, which would stop the script as well.
    browser.goto(&format!("data:text/html,{probe}")).await;
    assert_eq!(browser.eval("return document.title").await, "off");

    let url = server.serve("/", render(&signed_out()));
    browser.goto(&url).await;
    browser.fill("#user", "ada & co").await;
    browser.follow("form[action='/login'] button").await;
    assert_eq!(server.take_posts(), [post("/login", "user=ada+%26+co")]);
    browser.follow("form[action='/'] button").await;
    assert_eq!(server.take_posts(), [post("/", "action=count")]);

    server.serve("/", render(&signed_in(&devices(), &[])));
    browser.goto(&url).await;
    browser.follow("form[action='/'] button").await;
    browser.follow("form[action='/logout'] button").await;
    browser.follow(".devices li:nth-child(2) button").await;
    browser.follow(".devices > form button").await;
    browser.fill("#amount", "100").await;
    browser.follow("form[action='/transfer'] button").await;
    assert_eq!(
        server.take_posts(),
        [
            post("/", "csrf_token=masked&action=count"),
            post("/logout", "csrf_token=masked"),
            post("/devices/revoke", "csrf_token=masked&handle=phone"),
            post("/devices/revoke", "csrf_token=masked&others=1"),
            post("/transfer", "csrf_token=masked&amount=100"),
        ]
    );
}

#[tokio::test]
async fn what_the_model_says_is_on_the_page_in_its_language() {
    let (server, browser) = (Server::start(), Browser::open().await);
    let (devices, flashes) = (devices(), flashes(Language::French));
    let page = Page {
        language: Language::French,
        ..signed_in(&devices, &flashes)
    };
    browser.goto(&server.serve("/", render(&page))).await;
    assert_eq!(browser.text("h1").await, "Bonjour, ada.");
    assert_eq!(browser.text("#count").await, "128");
    assert_eq!(
        browser.text("#flash").await.lines().next(),
        Some("Session ouverte au nom de ada.")
    );
    assert_eq!(browser.text("nav [aria-current]").await, "Français");
    assert!(browser.text(".devices li").await.contains("Cet appareil"));
    let footer = browser.text("footer").await;
    assert!(footer.contains("sqlite") && footer.contains("axum"));
}

#[tokio::test]
async fn the_keyboard_reaches_every_control_and_shows_where_it_is() {
    let (server, browser) = (Server::start(), Browser::open().await);
    let html = render(&signed_in(&devices(), &[]));
    browser.goto(&server.serve("/", html)).await;
    let hidden = browser.eval(CONTROLS_WITHOUT_FOCUS_RING).await;
    assert_eq!(hidden, serde_json::json!([]));
}

/// The page in each state that looks different.
fn states() -> Vec<(String, String)> {
    let devices = devices();
    let mut states = vec![("signed-out".to_owned(), render(&signed_out()))];
    for language in Language::ALL {
        let flashes = flashes(language);
        let page = Page {
            language,
            ..signed_in(&devices, &flashes)
        };
        states.push((format!("signed-in-{}", language.code()), render(&page)));
    }

    let long = "Wolfeschlegelsteinhausenbergerdorff".repeat(20);
    let flashes = [("info".to_owned(), Language::English.signed_in_as(&long))];
    let device = Device {
        handle: "long".to_owned(),
        ip: "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".to_owned(),
        user_agent: "W".repeat(256),
        ..devices[0].clone()
    };
    let page = Page {
        user: Some(&long),
        count: u64::MAX,
        store: "redis+sentinel",
        ..signed_in(std::slice::from_ref(&device), &flashes)
    };
    states.push(("long".to_owned(), render(&page)));
    states
}

fn signed_out() -> Page<'static> {
    Page {
        store: "file",
        framework: "axum",
        ..Page::default()
    }
}

fn signed_in<'a>(devices: &'a [Device], flashes: &'a [(String, String)]) -> Page<'a> {
    Page {
        user: Some("ada"),
        count: 128,
        flashes,
        devices,
        csrf: Some("masked"),
        store: "sqlite",
        framework: "axum",
        ..Page::default()
    }
}

fn devices() -> [Device; 3] {
    let device = |handle: &str, ip: &str, user_agent: &str| Device {
        handle: handle.to_owned(),
        created: "2026-03-05T08:30:00Z".to_owned(),
        seen: "2026-03-09T21:07:12Z".to_owned(),
        ip: ip.to_owned(),
        user_agent: user_agent.to_owned(),
        current: handle == "laptop",
    };
    [
        device(
            "laptop",
            "203.0.113.7",
            "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
        ),
        device(
            "phone",
            "2001:db8:85a3::8a2e:370:7334",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, \
             like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
        ),
        device("script", "198.51.100.20", "curl/8.5.0"),
    ]
}

fn flashes(language: Language) -> [(String, String); 3] {
    let flash = |category: &str, text: &str| (category.to_owned(), text.to_owned());
    [
        flash("success", &language.signed_in_as("ada")),
        flash("info", &language.counted_to(128)),
        flash("warning", language.texts().device_revoked),
    ]
}

fn post(path: &str, body: &str) -> (String, String) {
    (path.to_owned(), body.to_owned())
}

const WIDTHS: &str = "
    const { scrollWidth, clientWidth } = document.documentElement;
    return { content: scrollWidth, room: clientWidth, screen: innerWidth };";

const BACKGROUND: &str = "return getComputedStyle(document.body).backgroundColor";

/// Texts below the contrast of 4.5 that WCAG 2.2 asks for (1.4.3, level AA).
const FAINT_TEXTS: &str = "
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const pixel = (...colours) => {
        for (const colour of colours) {
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
        }
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = ([red, green, blue]) => {
        const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    };
    const behind = (element) => element
        ? [...behind(element.parentElement), getComputedStyle(element).backgroundColor]
        : ['white'];
    const contrast = (element) => {
        const layers = behind(element);
        const back = luminance(pixel(...layers));
        const front = luminance(pixel(...layers, getComputedStyle(element).color));
        return (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    };
    return [...document.body.querySelectorAll('*')]
        .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3))
        .filter((element) => contrast(element) < 4.5)
        .map((element) => element.textContent);";

/// Controls that take no focus, or whose outline does not show it.
const CONTROLS_WITHOUT_FOCUS_RING: &str = "
    return [...document.querySelectorAll('a, button, input:not([type=hidden])')]
        .filter((control) => {
            control.focus({ focusVisible: true });
            const { outlineStyle, outlineWidth } = getComputedStyle(control);
            return document.activeElement !== control
                || outlineStyle !== 'solid' || parseFloat(outlineWidth) < 2;
        })
        .map((control) => control.outerHTML);";
