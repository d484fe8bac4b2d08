//! A demo that runs, and a browser that looks at it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use aplomb_demo::browser::Browser;
use serde_json::Value;
use tempfile::TempDir;

/// A demo of its own data.
pub(crate) struct Demo {
    process: Child,
    /// Where the dashboard is.
    pub(crate) url: String,
    _data: Option<TempDir>,
}

impl Demo {
    /// Starts one on free ports.
    pub(crate) fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut process = spawn(data.path(), 0);
        let stdout = process.stdout.take().unwrap();
        let mut lines = BufReader::new(stdout).lines();
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        // A pipe that nobody reads fills up.
        std::thread::spawn(move || lines.for_each(drop));
        let url = first["dashboard"].as_str().unwrap().to_owned();
        Self { process, url, _data: Some(data) }
    }

    /// Starts one on this port and the next two.
    pub(crate) fn start_on(port: u16, data: &Path) -> Self {
        let mut process = spawn(data, port);
        let stdout = process.stdout.take().unwrap();
        let mut lines = BufReader::new(stdout).lines();
        // It says where it is once it listens.
        assert!(lines.next().unwrap().is_ok());
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url: format!("http://127.0.0.1:{port}"), _data: None }
    }

    /// Asks it to stop, and answers its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }

    /// A browser that looks at the dashboard, which is up.
    pub(crate) fn visited(&self) -> Browser {
        let mut browser = Browser::start().unwrap();
        browser.resize(1_440, 900, 1).unwrap();
        browser.open(&self.url).unwrap();
        browser.wait_for("document.getElementById('link-text')?.textContent === 'live'").unwrap();
        browser
    }

    /// The status line and the body that a raw request is answered with.
    pub(crate) fn raw(&self, request: &str) -> (String, String) {
        let mut answer = String::new();
        self.send(request).read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// Sends a raw request, whose answer is still to be read.
    pub(crate) fn send(&self, request: &str) -> BufReader<TcpStream> {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let request = request.replace("{host}", host).replace('\n', "\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        BufReader::new(stream)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended already when it was stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(data: &Path, port: u16) -> Child {
    Command::new(env!("CARGO_BIN_EXE_aplomb-demo"))
        .args(["--port", &port.to_string(), "--data-dir", data.to_str().unwrap()])
        .env_remove("RUST_LOG")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A port that is free, as the two after it are.
pub(crate) fn free_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let Some(last) = port.checked_add(2) else { continue };
        if (port + 1..=last).all(|next| TcpListener::bind(("127.0.0.1", next)).is_ok()) {
            return port;
        }
    }
}

/// The text of the element with this id.
pub(crate) fn text(id: &str) -> String {
    format!("document.getElementById('{id}').textContent")
}

/// The number that an element with this id shows.
pub(crate) fn number(id: &str) -> String {
    format!("Number({}.replace(/[^0-9.]/g, '') || NaN)", text(id))
}
