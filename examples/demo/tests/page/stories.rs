//! Each story's button does what its caption promises, as it is read from the page.

use aplomb_demo::browser::Browser;

use crate::support::{Demo, number, text};

#[test]
fn each_story_keeps_its_promise() {
    let demo = Demo::start();
    let mut browser = demo.visited();
    browser.wait_for("points.length > 4").unwrap();

    begin(&mut browser, 1);
    let read =
        |lane: &str| format!("document.querySelector('#lane-{lane} [data-is=reads]').textContent");
    let [once, naive, aplomb] = ["once", "naive", "aplomb"].map(read);
    // All three at once: one item, three stories about it.
    browser
        .wait_for(&format!(
            "{once}.includes('went wrong') && {naive}.includes('sold out') && {aplomb}.includes('confirmed')"
        ))
        .unwrap();
    end(&mut browser, 1);

    begin(&mut browser, 2);
    browser.wait_for(&format!("{} > 0", number("dup-naive"))).unwrap();
    browser.wait_for(&format!("{aplomb}.includes('follows')")).unwrap();
    end(&mut browser, 2);

    begin(&mut browser, 3);
    browser.wait_for(&format!("{} < 100", number("accepted-once"))).unwrap();
    end(&mut browser, 3);

    begin(&mut browser, 4);
    browser.wait_for(&format!("{} === 'open'", text("circuit"))).unwrap();
    browser.wait_for("points.at(-1).sending[1] > 2 * points.at(-1).sending[2]").unwrap();
    end(&mut browser, 4);
    browser.wait_for(&format!("{} === 'closed'", text("circuit"))).unwrap();

    begin(&mut browser, 5);
    browser.wait_for("points.at(-1).sending[1] > 2 * points.at(-1).placing[1]").unwrap();
    end(&mut browser, 5);

    begin(&mut browser, 6);
    browser.wait_for(&format!("{} > 0", number("queued"))).unwrap();
    browser.wait_for(&format!("{} > 0", number("letters"))).unwrap();
    end(&mut browser, 6);
    browser.wait_for(&format!("{} === 0", number("letters"))).unwrap();

    begin(&mut browser, 7);
    let rows =
        |lane: &str| format!("document.querySelector('#lane-{lane} [data-is=rows]').textContent");
    browser.wait_for(&format!("{}.includes('reserved 2')", rows("naive"))).unwrap();
    browser.wait_for(&format!("{}.includes('reserved 1')", rows("aplomb"))).unwrap();
    end(&mut browser, 7);

    begin(&mut browser, 8);
    browser
        .wait_for("state.lanes[2].failed === 0 && state.story.playing.step.includes('restart 3')")
        .unwrap();
    end(&mut browser, 8);

    // Whatever happened to the others: one row for one order, and all stock accounted for.
    assert_eq!(browser.eval(&text("dup-aplomb")).unwrap(), "0");
    assert_eq!(browser.eval(&text("conserved")).unwrap(), "✓ yes");
    an_order_tells_its_way(&mut browser);
    assert_eq!(browser.complaints().unwrap(), [""; 0]);
    assert_eq!(demo.stop(), Some(0));
}

fn begin(browser: &mut Browser, story: u32) {
    browser.eval("window.before = JSON.stringify([state.rate, state.knobs]); 0").unwrap();
    browser.eval(&format!("document.getElementById('story-{story}').click()")).unwrap();
    browser.wait_for(&format!("state.story.playing?.number === {story}")).unwrap();
    assert_eq!(browser.eval("document.getElementById('knob-set').disabled").unwrap(), true);
}

fn end(browser: &mut Browser, story: u32) {
    let came = browser.wait_for(&format!("!state.story.playing && {}", text("step"))).unwrap();
    let came = came.as_str().unwrap();
    assert!(came.starts_with("As promised:"), "story {story}: {came}");
    assert_eq!(browser.eval(&text(&format!("mark-{story}"))).unwrap(), "✓");
    browser.wait_for("JSON.stringify([state.rate, state.knobs]) === before").unwrap();
}

fn an_order_tells_its_way(browser: &mut Browser) {
    browser.wait_for("document.querySelector('.order .chip')").unwrap();
    browser.eval("document.querySelector('.order').click()").unwrap();
    browser.wait_for("document.getElementById('timeline').open").unwrap();
    browser.wait_for("document.querySelectorAll('#timeline-steps li').length > 1").unwrap();
    browser.press("Escape").unwrap();
    browser.wait_for("!document.getElementById('timeline').open").unwrap();
}
