//! A headless Chromium, told what to do over its debugging pipe.
//!
//! Tests look at the dashboard through it, the command `pictures` photographs it. Calls block: an
//! async caller puts them on a thread where that is fine.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser with one page. Dropping it ends the browser.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// Its cache and settings: nothing of an earlier run, and gone with it.
    _profile: TempDir,
    calls: u64,
    session: String,
    events: VecDeque<Value>,
}

impl Browser {
    /// Starts the Chromium that is on the search path, with an empty page.
    ///
    /// # Errors
    ///
    /// [`BrowserError`] when there is none, or it does not start.
    pub fn start() -> Result<Self, BrowserError> {
        let profile = tempfile::tempdir().map_err(|error| lost(&error))?;
        let mut command = Command::new("sh");
        // The pipe's two ends are its descriptors 3 and 4.
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null"]);
        command.arg(program()?).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        let started =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = started.map_err(|error| lost(&error))?;
        let (Some(to), Some(from)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(BrowserError("the browser was started without its pipe".to_owned()));
        };
        let from = BufReader::new(from);
        let (session, events) = (String::new(), VecDeque::new());
        let mut browser = Self { process, to, from, _profile: profile, calls: 0, session, events };
        browser.attach()?;
        Ok(browser)
    }

    fn attach(&mut self) -> Result<(), BrowserError> {
        let page = self.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let to = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", to)?;
        attached["sessionId"].as_str().unwrap_or_default().clone_into(&mut self.session);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            self.call(domain, json!({}))?;
        }
        Ok(())
    }

    /// Goes to an address, and forgets what was complained of before.
    ///
    /// # Errors
    ///
    /// [`BrowserError`] when nobody answers there.
    pub fn open(&mut self, url: &str) -> Result<(), BrowserError> {
        self.events.clear();
        let gone = self.call("Page.navigate", json!({ "url": url }))?;
        match gone["errorText"].as_str() {
            None => Ok(()),
            Some(error) => Err(BrowserError(format!("{url}: {error}"))),
        }
    }

    /// What an expression is in the page; a promise's value once it has one.
    ///
    /// # Errors
    ///
    /// [`BrowserError`] when it throws.
    pub fn eval(&mut self, expression: &str) -> Result<Value, BrowserError> {
        let ask = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true,
            "userGesture": true,
        });
        let mut answer = self.call("Runtime.evaluate", ask)?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            return Err(BrowserError(format!("{}: {expression}", said(thrown))));
        }
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression is true in the page, whatever that takes up to two minutes, and
    /// answers what it then is.
    ///
    /// # Errors
    ///
    /// [`BrowserError`] when it is still not true after two minutes.
    pub fn wait_for(&mut self, expression: &str) -> Result<Value, BrowserError> {
        // What throws now, because the page's scripts have not run yet, may be true later.
        let watch = format!(
            "new Promise((done, fail) => {{
                let why = 'it is false';
                const look = () => {{ try {{ return ({expression}); }} catch (error) {{ why = error; }} }};
                const stop = () => {{ clearInterval(timer); clearTimeout(limit); }};
                const seen = () => {{ const is = look(); if (is) {{ stop(); done(is); }} }};
                const timer = setInterval(seen, 40);
                const limit = setTimeout(() => {{ stop(); fail(why); }}, {LIMIT_MS});
                seen();
            }})"
        );
        let never = |why| BrowserError(format!("within two minutes this never was: {why}"));
        self.eval(&watch).map_err(never)
    }

    /// Presses a key: `Tab`, `Enter`, `Escape`, ` ` and the like.
    ///
    /// # Errors
    ///
    /// [`BrowserError`] when the browser has gone.
    pub fn press(&mut self, key: &str) -> Result<(), BrowserError> {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            " " => (32, " "),
            "ArrowRight" => (39, ""),
            _ => (0, key),
        };
        let down = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        for kind in [down, "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
            });
            if kind == "keyDown" {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", event)?;
        }
        Ok(())
    }

    /// Gives the page this size, in CSS pixels, on a screen of so many points a pixel.
    ///
    /// # Errors
    ///
    /// [`BrowserError`] when the browser has gone.
    pub fn resize(&mut self, width: u32, height: u32, scale: u32) -> Result<(), BrowserError> {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", size).map(drop)
    }

    /// Prefers `light` or `dark`.
    ///
    /// # Errors
    ///
    /// [`BrowserError`] when the browser has gone.
    pub fn prefer(&mut self, scheme: &str) -> Result<(), BrowserError> {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media).map(drop)
    }

    /// What is seen of the page, as PNG.
    ///
    /// # Errors
    ///
    /// [`BrowserError`] when the browser has gone.
    pub fn picture(&mut self) -> Result<Vec<u8>, BrowserError> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }))?;
        let data = shot["data"].as_str().unwrap_or_default();
        STANDARD.decode(data).map_err(|error| lost(&error))
    }

    /// What the page's console and the browser itself complained of since the page was opened.
    ///
    /// # Errors
    ///
    /// [`BrowserError`] when the browser has gone.
    pub fn complaints(&mut self) -> Result<Vec<String>, BrowserError> {
        // Whatever happened before this call has been told by its answer.
        self.eval("0")?;
        Ok(self.events.iter().filter_map(complaint).collect())
    }

    fn call(&mut self, method: &str, params: Value) -> Result<Value, BrowserError> {
        self.calls += 1;
        let id = self.calls;
        let mut call = json!({ "id": id, "method": method });
        call["params"] = params;
        if !self.session.is_empty() {
            call["sessionId"] = self.session.as_str().into();
        }
        let mut line = call.to_string().into_bytes();
        line.push(0);
        self.to.write_all(&line).map_err(|error| lost(&error))?;
        loop {
            let mut heard = self.hear()?;
            if heard["id"] != id {
                self.events.push_back(heard);
                continue;
            }
            return match heard.get("error") {
                None => Ok(heard["result"].take()),
                Some(error) => Err(BrowserError(format!("{method}: {error}"))),
            };
        }
    }

    fn hear(&mut self) -> Result<Value, BrowserError> {
        let mut line = Vec::new();
        self.from.read_until(0, &mut line).map_err(|error| lost(&error))?;
        if line.pop() != Some(0) {
            return Err(BrowserError("the browser has gone".to_owned()));
        }
        serde_json::from_slice(&line).map_err(|error| lost(&error))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The browser does not do what it was asked to.
#[derive(Debug)]
pub struct BrowserError(String);

impl fmt::Display for BrowserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for BrowserError {}

fn lost(error: &dyn Error) -> BrowserError {
    BrowserError(format!("the browser cannot be talked to: {error}"))
}

fn program() -> Result<PathBuf, BrowserError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|program| program.is_file());
    found.ok_or_else(|| {
        BrowserError("no Chromium is on the search path; install the package `chromium`".to_owned())
    })
}

/// Warnings are no complaints.
fn complaint(event: &Value) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(said(&params["exceptionDetails"])),
        "Runtime.consoleAPICalled" if params["type"] == "error" => Some(params["args"].to_string()),
        "Log.entryAdded" if params["entry"]["level"] == "error" => {
            Some(format!("{} {}", params["entry"]["text"], params["entry"]["url"]))
        }
        _ => None,
    }
}

fn said(thrown: &Value) -> String {
    let exception = &thrown["exception"];
    let text = exception["description"].as_str().or(exception["value"].as_str());
    let text = text.or(thrown["text"].as_str());
    text.unwrap_or("something was thrown").to_owned()
}

const NAMES: [&str; 4] = ["chromium", "google-chrome", "google-chrome-stable", "chromium-browser"];
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--remote-debugging-pipe",
    // Containers run as root, where the sandbox does not start; only our own page is shown.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--hide-scrollbars",
    "--no-first-run",
    "--mute-audio",
];
/// Machines that build something else meanwhile are slow.
const LIMIT_MS: u32 = 120_000;
