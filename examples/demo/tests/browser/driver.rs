//! A private Chromium: started on demand, driven over WebDriver, gone when dropped, or with the test.
//!
//! A missing browser fails the test rather than skipping it, as a skipped test looks like a
//! passed one.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use session_test_servers::Watcher;

/// One window of a browser that shares nothing with any other.
pub(crate) struct Browser {
    client: Client,
    driver: Driver,
}

impl Browser {
    /// Starts a browser with an empty profile.
    ///
    /// # Panics
    ///
    /// If Chromium or its driver is not installed.
    pub(crate) async fn open() -> Self {
        let driver = Driver::start();
        let profile = driver.home.join("profile");
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {
                "binary": installed(&["chromium", "chromium-browser", "google-chrome"]),
                "args": [
                    "--headless=new",
                    // Tests run as root in containers, where Chromium has no sandbox.
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--no-first-run",
                    format!("--user-data-dir={}", profile.display()),
                ],
            },
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("the literal above is an object");
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver.url)
            .await
            .expect("chromedriver opens a browser");
        Self { client, driver }
    }

    /// Goes to `url` and waits until it is loaded.
    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.expect("the page loads");
    }

    /// The text of the first match of a CSS selector, as it is rendered.
    pub(crate) async fn text(&self, css: &str) -> String {
        let element = self.find(css).await;
        element.text().await.expect("an element has a text")
    }

    /// Types `value` into the input that `css` selects, in place of what it holds.
    pub(crate) async fn fill(&self, css: &str, value: &str) {
        let input = self.find(css).await;
        input.clear().await.expect("an input can be emptied");
        input.send_keys(value).await.expect("an input takes keys");
    }

    /// Clicks the first match of `css`; what is covered or has no size refuses.
    pub(crate) async fn click(&self, css: &str) {
        let element = self.find(css).await;
        element
            .click()
            .await
            .unwrap_or_else(|error| panic!("clicking {css}: {error}"));
    }

    /// Clicks the first match of `css` and waits for the page that it leads to.
    pub(crate) async fn follow(&self, css: &str) {
        self.eval("document.documentElement.dataset.left = ''")
            .await;
        self.click(css).await;
        let deadline = Instant::now() + Duration::from_secs(120);
        // Between two pages there may be none to ask.
        while !matches!(self.try_eval(ARRIVED).await, Ok(Value::Bool(true))) {
            assert!(Instant::now() < deadline, "clicking {css} leads nowhere");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the JavaScript function body `script` returns. It runs even where the page's own
    /// scripts do not.
    pub(crate) async fn eval(&self, script: &str) -> Value {
        self.try_eval(script).await.expect("the script runs")
    }

    /// The names of the cookies that the browser has for the page, also of those that no script sees.
    pub(crate) async fn cookies(&self) -> Vec<String> {
        let cookies = self.client.get_all_cookies().await;
        let cookies = cookies.expect("the browser tells its cookies");
        cookies.iter().map(|one| one.name().to_owned()).collect()
    }

    /// Makes the page `width` by `height` CSS pixels, below the least size of a window too.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
    }

    /// Makes `prefers-color-scheme` say `scheme`: `light` or `dark`.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Turns JavaScript off for every page loaded from now on.
    pub(crate) async fn without_scripts(&self) {
        self.devtools(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": true}),
        )
        .await;
    }

    /// Saves the whole page, however long, as `name` and returns where.
    ///
    /// The folder is the one that `SCREENSHOTS` names, or a temporary one that goes with the
    /// browser.
    pub(crate) async fn screenshot(&self, name: &str) -> PathBuf {
        let folder = std::env::var_os("SCREENSHOTS")
            .map_or_else(|| self.driver.home.join("screenshots"), PathBuf::from);
        std::fs::create_dir_all(&folder).expect("the folder for screenshots can be made");

        let size = self
            .eval("return [innerWidth, document.documentElement.scrollHeight]")
            .await;
        let pixels = |index: usize| {
            let length = size[index].as_u64().expect("a page has a size");
            u32::try_from(length).expect("a page is no longer than a picture can be")
        };
        self.resize(pixels(0), pixels(1)).await;

        let path = folder.join(name);
        let png = self.client.screenshot().await.expect("a page has a look");
        std::fs::write(&path, png).expect("the screenshot can be saved");
        path
    }

    async fn try_eval(&self, script: &str) -> Result<Value, CmdError> {
        self.client.execute(script, vec![]).await
    }

    async fn find(&self, css: &str) -> Element {
        self.client
            .find(Locator::Css(css))
            .await
            .unwrap_or_else(|error| panic!("looking for {css}: {error}"))
    }

    async fn devtools(&self, command: &'static str, params: Value) {
        self.client
            .issue_cmd(DevTools { command, params })
            .await
            .unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

/// chromedriver on a port of its own, and with a folder for all that it and the browser write.
struct Driver {
    process: Child,
    url: String,
    home: PathBuf,
    // Kept open: the driver would die of writing to a closed pipe.
    _stdout: Box<dyn Read + Send>,
    // Removes the folder when the browser has ended, and ends both with the test.
    watcher: Watcher,
}

impl Driver {
    /// Starts the driver, again where the port it chose is another's: it takes a free one of
    /// `[::1]` and then needs the same of `127.0.0.1`, which other tests' servers use.
    fn start() -> Self {
        let mut said = String::new();
        for _ in 0..50 {
            match Self::start_once() {
                Ok(driver) => return driver,
                Err(last) if last.contains("port not available") => said = last,
                Err(last) => panic!("chromedriver ended before it listened: {last}"),
            }
        }
        panic!("chromedriver finds no port: {said}");
    }

    /// Starts the driver, or tells what it said when it ended at once.
    fn start_once() -> Result<Self, String> {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let home = home.keep();
        let mut watcher = Watcher::over(&home).expect("there is a shell");
        let log = home.join("chromedriver.log");
        let stderr = File::create(&log).expect("a log can be made");
        let mut process = Command::new(installed(&["chromedriver"]))
            .args(["--port=0", "--log-level=SEVERE"])
            .env("HOME", &home)
            .env("TMPDIR", &home)
            // A group of its own, so that the browser's many processes end with the driver.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("chromedriver starts");
        watcher.watch(process.id()).expect("the shell reads");
        let mut stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        match announced_port(&mut stdout) {
            Ok(port) => Ok(Self {
                process,
                url: format!("http://127.0.0.1:{port}"),
                home,
                _stdout: Box::new(stdout),
                watcher,
            }),
            Err(mut said) => {
                // Before the wait: afterwards the pid may be given to another process.
                watcher.watch(0).expect("the shell reads");
                process.wait().expect("chromedriver has ended");
                said += &fs::read_to_string(&log).expect("the log can be read");
                Err(said)
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A failure means that all of it has ended already.
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.watcher.watch(0);
        let _ = self.process.wait();
    }
}

/// A command of the Chrome DevTools Protocol, which chromedriver passes on.
#[derive(Debug)]
struct DevTools {
    command: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(
        &self,
        base_url: &url::Url,
        session_id: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        let session = session_id.unwrap_or_default();
        base_url.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let body = json!({"cmd": self.command, "params": self.params});
        (http::Method::POST, Some(body.to_string()))
    }
}

/// Reads up to "ChromeDriver was started successfully on port 43210.", or all there is.
fn announced_port(stdout: &mut impl BufRead) -> Result<u16, String> {
    let mut said = String::new();
    for line in stdout.lines() {
        let line = line.expect("chromedriver writes text");
        if let Some((_, port)) = line.split_once("successfully on port ") {
            let port = port.trim_end_matches('.').parse();
            return Ok(port.expect("a port is a number"));
        }
        said += &line;
        said.push('\n');
    }
    Err(said)
}

/// Where the first of `programs` is that `PATH` knows.
fn installed(programs: &[&str]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    programs
        .iter()
        .flat_map(|program| std::env::split_paths(&path).map(move |folder| folder.join(program)))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!(
                "{} is not installed: apt-get install -y chromium chromium-driver",
                programs[0]
            )
        })
}

/// Whether the page that was left is gone and the next one is complete.
const ARRIVED: &str = "
    const left = 'left' in document.documentElement.dataset;
    return !left && document.readyState === 'complete';";
