//! Each knob has the effect that is written beneath it.

use aplomb_demo::browser::Browser;

use crate::support::{Demo, number, text};

#[test]
fn each_knob_has_its_effect() {
    let demo = Demo::start();
    let mut browser = demo.visited();
    browser.wait_for("points.length > 6 && points.at(-1).p99[0] !== null").unwrap();
    let accepted = |lane: &str| number(&format!("accepted-{lane}"));
    let told = |what: &str| {
        format!(
            "[...document.querySelectorAll('.order .chip')].some((chip) => /{what}/.test(chip.textContent))"
        )
    };

    turn(&mut browser, "rate", "16");
    browser.wait_for("points.at(-1).placing[0] > 12").unwrap();
    turn(&mut browser, "rate", "8");

    turn(&mut browser, "latency_ms", "300");
    browser.wait_for("points.at(-1).p50[0] >= 300").unwrap();
    turn(&mut browser, "latency_jitter_ms", "150");
    browser
        .wait_for("points.at(-1).p50[0] >= 300 && points.at(-1).p99[0] > points.at(-1).p50[0] + 40")
        .unwrap();
    calm(&mut browser);

    turn(&mut browser, "error_rate", "100");
    browser.wait_for(&format!("{} === 0", accepted("once"))).unwrap();
    browser.wait_for(&told("^attempt 1 503")).unwrap();
    turn(&mut browser, "error_status", "502");
    // A breaker that has opened meanwhile lets a probe through.
    browser.wait_for(&told("attempt [0-9]+ 502")).unwrap();
    calm(&mut browser);

    let twice = browser.eval(&number("dup-naive")).unwrap();
    turn(&mut browser, "lose_response_rate", "60");
    browser.wait_for(&format!("{} > {twice}", number("dup-naive"))).unwrap();
    browser.wait_for(&told("response lost")).unwrap();
    calm(&mut browser);

    turn(&mut browser, "drop_connection_rate", "100");
    browser.wait_for(&format!("{} === 0", accepted("naive"))).unwrap();
    calm(&mut browser);

    let failed = browser.eval("state.lanes.map((lane) => lane.failed)[0]").unwrap();
    turn(&mut browser, "lose_next", "40");
    browser
        .wait_for(&format!("state.lanes[0].failed > {failed} && state.knobs.lose_next === 0"))
        .unwrap();
    browser.wait_for("document.getElementById('knob-lose_next').value === '0'").unwrap();

    turn(&mut browser, "capacity_per_second", "2");
    browser.wait_for(&format!("{} < 50", accepted("once"))).unwrap();
    calm(&mut browser);

    browser.eval("document.getElementById('knob-down').click()").unwrap();
    browser.wait_for(&format!("{} === 'open'", text("circuit"))).unwrap();
    calm(&mut browser);
    browser.wait_for("document.getElementById('knob-down').checked === false").unwrap();

    turn(&mut browser, "seed", "7");
    browser.wait_for("state.knobs.seed === 7").unwrap();
    assert_eq!(browser.eval(&text("wrong")).unwrap(), "");
    assert_eq!(browser.complaints().unwrap(), [""; 0]);
    assert_eq!(demo.stop(), Some(0));
}

/// As a hand does: the value, then the event.
fn turn(browser: &mut Browser, knob: &str, value: &str) {
    let turned = format!(
        "(() => {{ const knob = document.getElementById('knob-{knob}'); knob.value = '{value}';
            knob.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
    );
    browser.eval(&turned).unwrap();
}

fn calm(browser: &mut Browser) {
    browser.eval("document.getElementById('calm').click()").unwrap();
    browser.wait_for("Object.values(state.knobs).every((value) => !value)").unwrap();
}
