//! A real Chromium, driven over WebDriver: what a person sees and does, and what the browser complains about.

use crate::support::wait_until;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Until something appears, or a page has come.
pub const LIMIT: Duration = Duration::from_secs(20);

/// One window of its own profile; gone, and its processes with it, on drop.
pub struct Browser {
    runtime: Runtime,
    client: Client,
    driver: Child,
    _profile: TempDir,
    /// Where incidentd serves.
    site: String,
    /// What the console said that is to be asked for only once.
    complaints: Vec<String>,
}

/// A command that WebDriver leaves to each browser.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// `site`: where its paths are, without a slash at the end.
    pub fn start(site: &str) -> Browser {
        let profile = tempfile::Builder::new().prefix("incidentd-browser-").tempdir().expect("a temporary folder");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // SAFETY: a system call that allocates nothing, between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let mut driver = command.spawn().expect("chromedriver starts: apt-get install chromium chromium-driver");
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, after) = line.split_once("successfully on port ")?;
            after.trim_end_matches('.').parse::<u16>().ok()
        });
        let port = port.expect("chromedriver names its port");
        // Reads on, so that the driver never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let capabilities = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
                format!("--user-data-dir={}", profile.path().display()),
            ] },
        });
        let capabilities = capabilities.as_object().cloned().expect("an object");
        let address = format!("http://127.0.0.1:{port}");
        let client = runtime.block_on(ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&address));
        let client = client.expect("Chromium starts");
        Browser { runtime, client, driver, _profile: profile, site: site.to_owned(), complaints: Vec::new() }
    }

    fn vendor(&self, path: &'static str, body: Value) -> Value {
        self.runtime.block_on(self.client.issue_cmd(Vendor { path, body })).expect("Chromium does as it is told")
    }

    /// A command of the DevTools protocol.
    pub fn devtools(&self, command: &str, params: Value) -> Value {
        self.vendor("goog/cdp/execute", json!({ "cmd": command, "params": params }))
    }

    /// `narrow`: a phone's.
    pub fn screen(&self, narrow: bool, dark: bool) {
        let (width, height) = if narrow { (390, 844) } else { (1200, 800) };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": narrow });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features =
            json!([{ "name": "prefers-color-scheme", "value": scheme }, { "name": "prefers-reduced-motion", "value": "reduce" }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    pub fn without_scripts(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    }

    /// A path of incidentd's, or another site's address.
    pub fn open(&self, address: &str) {
        let address = if address.starts_with('/') { format!("{}{address}", self.site) } else { address.to_owned() };
        self.runtime.block_on(self.client.goto(&address)).unwrap_or_else(|error| panic!("{address}: {error}"));
    }

    /// Path and query of what is shown.
    pub fn path(&self) -> String {
        let url = self.runtime.block_on(self.client.current_url()).expect("an address");
        url.as_str()[url.origin().ascii_serialization().len()..].to_owned()
    }

    fn find(&self, css: &str) -> Option<Element> {
        self.runtime.block_on(self.client.find(Locator::Css(css))).ok()
    }

    /// The first element of that selector, once there is one.
    fn wait(&self, css: &str) -> Element {
        wait_until(&format!("{css} is there"), LIMIT, || self.find(css))
    }

    pub fn has(&self, css: &str) -> bool {
        self.find(css).is_some()
    }

    /// As it is read.
    pub fn text(&self, css: &str) -> String {
        // What is replaced while it is looked at is looked at again.
        wait_until(&format!("{css} can be read"), LIMIT, || self.runtime.block_on(self.find(css)?.text()).ok())
    }

    /// Of each element.
    pub fn texts(&self, css: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let mut texts = Vec::new();
            for element in self.client.find_all(Locator::Css(css)).await.unwrap_or_default() {
                texts.extend(element.text().await);
            }
            texts
        })
    }

    /// Waits until the elements of that selector say just this: the next page may still be on its way.
    #[track_caller]
    pub fn shows(&self, css: &str, texts: &[&str]) {
        wait_until(&format!("{css} says {texts:?}"), LIMIT, || (self.texts(css) == texts).then_some(()));
    }

    /// Waits until this path and query are shown.
    #[track_caller]
    pub fn is_at(&self, path: &str) {
        wait_until(&format!("{path} is shown"), LIMIT, || (self.path() == path).then_some(()));
    }

    pub fn wait_for(&self, css: &str, words: &str) {
        wait_until(&format!("{css} says {words:?}"), LIMIT, || {
            self.texts(css).iter().any(|text| text.contains(words)).then_some(())
        });
    }

    pub fn attribute(&self, css: &str, name: &str) -> Option<String> {
        self.runtime.block_on(self.wait(css).attr(name)).expect("an element")
    }

    pub fn click(&self, css: &str) {
        self.runtime.block_on(self.wait(css).click()).unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Follows the link, or presses the button, that says so.
    pub fn choose(&self, words: &str) {
        let text = format!("normalize-space()=\"{words}\"");
        let xpath = format!("//main//a[{text}] | //main//button[{text}] | //main//summary[{text}] | //header//a[{text}]");
        let found = wait_until(&format!("{words:?} can be chosen"), LIMIT, || {
            self.runtime.block_on(self.client.find(Locator::XPath(&xpath))).ok()
        });
        self.runtime.block_on(found.click()).unwrap_or_else(|error| panic!("{words}: {error}"));
    }

    pub fn fill(&self, css: &str, text: &str) {
        let field = self.wait(css);
        self.runtime.block_on(async { field.clear().await.and(field.send_keys(text).await) }).expect("a field");
    }

    /// Keys, one after another, as they come from a keyboard.
    pub fn press(&self, keys: &str) {
        let pressed = keys.chars().fold(KeyActions::new("keyboard".to_owned()), |pressed, value| {
            pressed.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.runtime.block_on(self.client.perform_actions(pressed)).unwrap_or_else(|error| panic!("{keys:?}: {error}"));
    }

    pub fn run(&self, script: &str) -> Value {
        self.runtime.block_on(self.client.execute(script, Vec::new())).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The same where the script calls its last argument with the answer.
    pub fn run_later(&self, script: &str) -> Value {
        self.runtime.block_on(self.client.execute_async(script, Vec::new())).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// A PNG of the window, as far as a page goes on below at most `height` pixels.
    pub fn picture(&self, height: u64) -> Vec<u8> {
        let whole = self.run("return [innerWidth, document.documentElement.scrollHeight]");
        let (width, whole) = (whole[0].as_u64().expect("a width"), whole[1].as_u64().expect("a height"));
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": whole.min(height), "scale": 1 });
        let taken =
            self.devtools("Page.captureScreenshot", json!({ "format": "png", "clip": clip, "captureBeyondViewport": true }));
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("base64")
    }

    /// What the browser had to complain about since the start: errors, and what the policy of the page forbade.
    pub fn complaints(&mut self) -> &[String] {
        let said = self.vendor("se/log", json!({ "type": "browser" }));
        // Its advice on how forms could be better is no complaint.
        let said =
            said.as_array().expect("a list").iter().filter(|line| line["source"] != "recommendation").map(Value::to_string);
        self.complaints.extend(said);
        &self.complaints
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium; the driver alone would leave it behind.
        let _ = self.runtime.block_on(self.client.clone().close());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
