//! Photographs of the dashboard, for the README.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::browser::{Browser, BrowserError};
use crate::out;
use crate::trouble::Trouble;

/// Starts a demo of its own, plays two stories, and writes `light.png`, `dark.png` and `phone.png`.
pub(crate) fn take(folder: &Path) -> Result<(), Trouble> {
    fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    let data = tempfile::tempdir().map_err(|error| unwritten(&std::env::temp_dir(), &error))?;
    let demo = Demo::start(data.path())?;
    let mut browser = Browser::start()?;
    browser.prefer("light")?;
    browser.resize(DESK.0, DESK.1, 1)?;
    browser.open(&demo.url)?;
    // Enough of a minute that the charts are not half empty.
    browser.wait_for("points.length > 50")?;
    for story in STORIES {
        browser.eval(&format!("document.getElementById('story-{story}').click()"))?;
        browser.wait_for(&format!("state.story.playing?.number === {story}"))?;
        browser.wait_for("!state.story.playing")?;
        if browser.eval(&format!("state.story.verdicts[{story}].held"))? != true {
            let why = format!(
                "story {story} did not keep its promise; try again when this machine is idle"
            );
            return Err(Trouble::new(why));
        }
    }
    shoot(&mut browser, folder, "light.png")?;
    browser.prefer("dark")?;
    shoot(&mut browser, folder, "dark.png")?;
    browser.prefer("light")?;
    browser.resize(PHONE.0, PHONE.1, 2)?;
    shoot(&mut browser, folder, "phone.png")
}

fn shoot(browser: &mut Browser, folder: &Path, name: &str) -> Result<(), Trouble> {
    // One more point is drawn in the new size, or colours.
    browser.eval("window.shown = points.at(-1).at; 0")?;
    browser.wait_for("points.at(-1).at > shown")?;
    let path: PathBuf = folder.join(name);
    fs::write(&path, browser.picture()?).map_err(|error| unwritten(&path, &error))?;
    out::line(path.display());
    Ok(())
}

/// This program once more, as visitors start it.
struct Demo {
    process: Child,
    url: String,
}

impl Demo {
    fn start(data: &Path) -> Result<Self, Trouble> {
        let silent = || Trouble::new("the demo does not start; see above");
        let program = std::env::current_exe()
            .map_err(|error| Trouble::new(format!("this program cannot be found: {error}")))?;
        let mut command = Command::new(program);
        command.args(["--port", "0", "--data-dir"]).arg(data).stdout(Stdio::piped());
        let mut demo = Self { process: command.spawn().map_err(|_| silent())?, url: String::new() };
        let stdout = demo.process.stdout.take().ok_or_else(silent)?;
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        // A pipe that nobody reads fills up.
        std::thread::spawn(move || lines.for_each(drop));
        let told: Value = serde_json::from_str(&first).map_err(|_| silent())?;
        told["dashboard"].as_str().unwrap_or_default().clone_into(&mut demo.url);
        Ok(demo)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended already, or its data is thrown away.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl From<BrowserError> for Trouble {
    fn from(error: BrowserError) -> Self {
        Self::new(error.to_string())
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble::new(format!("{} cannot be written to: {error}", path.display()))
}

/// Duplicates, then an outage.
const STORIES: [u32; 2] = [2, 4];
/// Width, then height.
const DESK: (u32, u32) = (1_320, 920);
const PHONE: (u32, u32) = (390, 844);
