//! The running demo, as people use it.

use session_demo::lang::Language;

use crate::demo::Demo;
use crate::driver::Browser;

#[tokio::test]
async fn a_visitor_counts_signs_in_and_out_and_is_told_each_time() {
    let (demo, browser) = (start(), Browser::open().await);
    browser.goto(&demo.url).await;
    assert_eq!(browser.text("h1").await, "Hello.");
    assert_eq!(browser.cookies().await, [""; 0], "looking stores nothing");

    browser.follow("form[action='/'] button").await;
    browser.follow("form[action='/'] button").await;
    assert_eq!(browser.text("#count").await, "2");
    assert_eq!(browser.text("#flash").await, "Counted to 2.");
    browser.goto(&demo.url).await;
    assert_eq!(browser.text("#flash").await, "", "told once");

    browser.fill("#user", "ada").await;
    browser.follow("form[action='/login'] button").await;
    assert_eq!(browser.text("#flash").await, "Signed in as ada.");
    assert_eq!(browser.text("h1").await, "Hello, ada.");
    assert_eq!(browser.text("#count").await, "2");
    assert!(browser.text(".devices li").await.contains("This device"));
    assert_eq!(browser.cookies().await.len(), 1);
    assert_eq!(cookies(&browser).await, "", "no script can read it");
    browser.screenshot("running-signed-in.png").await;

    browser.follow("form[action='/logout'] button").await;
    assert_eq!(browser.text("#flash").await, "Signed out.");
    assert_eq!(browser.text("h1").await, "Hello.");
    assert_eq!(browser.text("#count").await, "0");
    browser.screenshot("running-signed-out.png").await;
}

#[tokio::test]
async fn the_language_stays_through_login_and_logout() {
    let (demo, browser) = (start(), Browser::open().await);
    browser.goto(&demo.url).await;
    browser.follow("nav [hreflang=de]").await;
    let german = Language::German.texts();
    assert_eq!(browser.text("#flash").await, german.now_in_this_language);
    assert_eq!(browser.text("nav [aria-current]").await, "Deutsch");

    browser.fill("#user", "Äda <b>").await;
    browser.follow("form[action='/login'] button").await;
    assert_eq!(browser.text("#flash").await, "Angemeldet als Äda <b>.");
    browser.follow("form[action='/logout'] button").await;
    assert_eq!(browser.text("#flash").await, german.now_signed_out);
    assert_eq!(browser.text("h1").await, "Hallo.");
    browser.follow("nav [hreflang=fr]").await;
    assert_eq!(browser.text("h1").await, "Bonjour.");
}

#[tokio::test]
async fn one_device_signs_out_another_and_then_all_others() {
    let demo = start();
    let (laptop, phone) = (Browser::open().await, Browser::open().await);
    sign_in(&demo, &phone).await;
    sign_in(&demo, &laptop).await;
    assert_eq!(devices(&laptop).await, 2);
    laptop.screenshot("running-two-devices.png").await;

    let other = ".devices li:not(:has(.badge)) button";
    laptop.follow(other).await;
    assert_eq!(laptop.text("#flash").await, "That device is signed out.");
    assert_eq!(devices(&laptop).await, 1);
    phone.goto(&demo.url).await;
    assert_eq!(phone.text("h1").await, "Hello.");

    sign_in(&demo, &phone).await;
    phone.follow(".devices > form button").await;
    let said = phone.text("#flash").await;
    assert_eq!(said, "Every other device is signed out.");
    laptop.goto(&demo.url).await;
    assert_eq!(laptop.text("h1").await, "Hello.");
    phone.goto(&demo.url).await;
    assert_eq!(phone.text("h1").await, "Hello, ada.");

    // Its own entry is a logout.
    phone.follow(".devices li button").await;
    assert_eq!(phone.text("#flash").await, "Signed out.");
}

#[tokio::test]
async fn it_all_works_without_scripts_on_a_phone_in_the_dark() {
    let (demo, browser) = (start(), Browser::open().await);
    browser.without_scripts().await;
    browser.prefer("dark").await;
    browser.resize(360, 800).await;
    sign_in(&demo, &browser).await;
    browser.follow("form[action='/'] button").await;
    assert_eq!(browser.text("#count").await, "1");
    let widths = browser.eval(WIDTHS).await;
    assert!(widths[0].as_u64() <= widths[1].as_u64(), "{widths}");
    browser.screenshot("running-phone-dark.png").await;

    browser.fill("#amount", "100").await;
    browser.follow("form[action='/transfer'] button").await;
    assert_eq!(browser.text("body").await, "transferred 100");
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let (demo, browser) = (start(), Browser::open().await);
    sign_in(&demo, &browser).await;
    // Another name for the same machine, and so another site.
    let elsewhere = Demo::start(&["--store", "memory:"]);
    let elsewhere = elsewhere.url.replace("127.0.0.1", "localhost");
    for path in ["/", "/logout", "/transfer"] {
        browser.goto(&format!("{elsewhere}/plain")).await;
        let form = format!(
            "document.body.innerHTML = `<form method=post action='{}{path}'>\
             <input name=action value=count><input name=amount value=1>\
             <button>win</button></form>`",
            demo.url
        );
        browser.eval(&form).await;
        browser.follow("button").await;
        let answer = browser.text("body").await;
        assert!(answer.contains("the request was refused"), "{answer}");
    }
    browser.goto(&demo.url).await;
    assert_eq!(browser.text("h1").await, "Hello, ada.");
    assert_eq!(browser.text("#count").await, "0");
}

fn start() -> Demo {
    Demo::start(&["--store", "memory:"])
}

async fn sign_in(demo: &Demo, browser: &Browser) {
    browser.goto(&demo.url).await;
    browser.fill("#user", "ada").await;
    browser.follow("form[action='/login'] button").await;
}

async fn devices(browser: &Browser) -> u64 {
    let count = "return document.querySelectorAll('.devices li').length";
    browser.eval(count).await.as_u64().expect("a number")
}

/// What a script in the page could steal.
async fn cookies(browser: &Browser) -> String {
    let cookies = browser.eval("return document.cookie").await;
    cookies.as_str().expect("a text").to_owned()
}

const WIDTHS: &str = "
    const { scrollWidth, clientWidth } = document.documentElement;
    return [scrollWidth, clientWidth];";
