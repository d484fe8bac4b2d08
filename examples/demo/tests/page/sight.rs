//! What is seen without touching anything, on screens of every kind.

use aplomb_demo::browser::Browser;

use crate::support::{Demo, free_ports, number, text};

#[test]
fn the_page_comes_up_without_a_complaint_and_its_charts_move() {
    let demo = Demo::start();
    let mut browser = demo.visited();
    browser.wait_for(&format!("{} > 4", number("accepted-aplomb"))).unwrap();
    assert_eq!(browser.eval("document.querySelectorAll('canvas').length").unwrap(), 7);
    // Every chart is drawn anew as time goes by: what is at the left leaves, what is new comes.
    let drawn = "[...document.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL())";
    browser.eval(&format!("window.drawn = {drawn}; 0")).unwrap();
    browser
        .wait_for(&format!("{drawn}.slice(0, 3).every((now, at) => now !== drawn[at])"))
        .unwrap();
    assert_eq!(browser.eval(&text("dup-aplomb")).unwrap(), "0");
    assert_eq!(browser.eval(&text("conserved")).unwrap(), "✓ yes");
    browser.wait_for(&format!("{}.endsWith('hold')", text("laws-sum"))).unwrap();
    assert_eq!(browser.complaints().unwrap(), [""; 0]);
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn every_control_is_reached_and_worked_by_keyboard() {
    let demo = Demo::start();
    let mut browser = demo.visited();
    let reached = reach(&mut browser);
    let controls = "[...document.querySelectorAll('a[href], button, input, select, summary')]
        .filter((control) => !control.disabled && control.checkVisibility() && !control.dataset.order)
        .map((control) => control.id || control.textContent)";
    let controls = browser.eval(controls).unwrap();
    let controls = controls.as_array().unwrap();
    assert!(controls.len() > 20, "{controls:?}");
    for control in controls {
        assert!(reached.contains(control), "{control} is not reached: {reached:?}");
    }
    browser.eval("document.getElementById('theme').focus()").unwrap();
    browser.press("Enter").unwrap();
    browser.wait_for("document.documentElement.dataset.theme === 'dark'").unwrap();
    browser.eval("document.getElementById('knob-rate').focus()").unwrap();
    let rate = browser.eval("state.rate").unwrap();
    browser.press("ArrowRight").unwrap();
    browser.wait_for(&format!("state.rate === {rate} + 1")).unwrap();
    browser.eval("document.getElementById('story-7').focus()").unwrap();
    browser.press("Enter").unwrap();
    browser.wait_for("state.story.playing?.number === 7").unwrap();
    assert_eq!(demo.stop(), Some(0));
}

/// What has the focus, one after the other, from the top of the page to its end.
fn reach(browser: &mut Browser) -> Vec<serde_json::Value> {
    let mut reached = Vec::new();
    browser.eval("document.body.focus()").unwrap();
    for _ in 0..CONTROLS_MAX {
        browser.press("Tab").unwrap();
        let focused = "document.activeElement === document.body ? ''
            : document.activeElement.id || document.activeElement.textContent";
        let focused = browser.eval(focused).unwrap();
        if focused == "" && !reached.is_empty() {
            break;
        }
        reached.push(focused);
    }
    reached
}

#[test]
fn nothing_sticks_out_of_a_phone_and_nothing_moves_by_itself() {
    let demo = Demo::start();
    let mut browser = demo.visited();
    for (width, height) in [(360, 740), (768, 1_024), (1_440, 900)] {
        browser.resize(width, height, 1).unwrap();
        browser.wait_for(&format!("innerWidth === {width}")).unwrap();
        let wide = browser.eval("document.documentElement.scrollWidth").unwrap();
        assert!(wide.as_u64().unwrap() <= u64::from(width), "{wide} at {width}");
    }
    // Where things are does not depend on the figures that they show.
    let places = "JSON.stringify([...document.querySelectorAll('.tile, .lane, .chart, .story')]
        .map((thing) => { const at = thing.getBoundingClientRect(); return [at.x, at.y, at.width]; }))";
    browser.eval(&format!("window.places = {places}; window.then = points.length; 0")).unwrap();
    browser.wait_for("points.length > then + 4").unwrap();
    assert_eq!(browser.eval(&format!("{places} === places")).unwrap(), true);
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn the_page_finds_a_server_again_that_was_restarted_on_its_port() {
    let (port, data) = (free_ports(), tempfile::tempdir().unwrap());
    let demo = Demo::start_on(port, data.path());
    let mut browser = demo.visited();
    browser.wait_for("points.length > 2").unwrap();
    browser.eval("window.earlier = run; 0").unwrap();
    assert_eq!(demo.stop(), Some(0));
    browser.wait_for(&format!("{} === 'reconnecting'", text("link-text"))).unwrap();
    let demo = Demo::start_on(port, data.path());
    browser.wait_for("run !== earlier && points.length > 2").unwrap();
    assert_eq!(browser.eval(&text("link-text")).unwrap(), "live");
    assert_eq!(demo.stop(), Some(0));
}

/// Many more than there are.
const CONTROLS_MAX: usize = 120;
