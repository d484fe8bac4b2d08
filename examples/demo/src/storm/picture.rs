//! Both curves in one picture.

use std::fmt::Write as _;

use super::compare::{Comparison, Row};
use super::lane::FAULT;

/// One HTML file that needs nothing else: for each lane what was sent and what came of it, predicted
/// as an area, measured as a line.
pub(crate) fn page(clients: u32, compared: &[Comparison]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>storm: the lab beside real sockets</title><style>{CSS}</style></head><body>\
         <h1>The lab beside real sockets</h1>\
         <p>{clients} clients; a server at 80 % load becomes five times slower from second {} to \
         second {}. The area is what the lab predicted, the line what came over loopback through the \
         real layers.</p><div class=\"lanes\">",
        FAULT.0, FAULT.1
    );
    let all = || compared.iter().flat_map(|one| one.predicted.iter().chain(&one.measured));
    let most = float(all().map(|row| row.sends.max(row.calls)).max().unwrap_or(1).max(1));
    for comparison in compared {
        let _ = write!(page, "<section><h2>{}</h2>", comparison.name);
        for (title, of) in PANELS {
            page.push_str(&panel(comparison, title, of, most));
        }
        let _ = write!(page, "{}</section>", figures(comparison));
    }
    page.push_str("</div></body></html>\n");
    page
}

fn panel(comparison: &Comparison, title: &str, of: fn(&Row) -> u64, most: f64) -> String {
    let seconds = float(comparison.predicted.len() as u64);
    let x = |second: f64| WIDTH * second / seconds;
    let y = |count: u64| HEIGHT * (1.0 - float(count) / most);
    let line = |rows: &[Row]| {
        let points = rows
            .iter()
            .zip(0_u32..)
            .map(|(row, second)| format!("{:.1} {:.1}", x(f64::from(second) + 0.5), y(of(row))));
        points.collect::<Vec<_>>().join("L")
    };
    let (from, to) = (x(float(FAULT.0)), x(float(FAULT.1)));
    format!(
        "<figure><figcaption>{title}, up to {most:.0}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}\">\
         <rect class=\"fault\" x=\"{from:.1}\" width=\"{:.1}\" height=\"{HEIGHT}\"/>\
         <path class=\"lab\" d=\"M{:.1} {HEIGHT}L{}L{WIDTH} {HEIGHT}Z\"/><path class=\"real\" d=\"M{}\"/></svg></figure>",
        to - from,
        x(0.5),
        line(&comparison.predicted),
        line(&comparison.measured),
    )
}

fn figures(comparison: &Comparison) -> String {
    let mut text = String::from(
        "<table><tr><th></th><th>sends a call: lab, sockets</th><th>good share: lab, sockets</th></tr>",
    );
    for phase in &comparison.phases {
        let _ = write!(
            text,
            "<tr><th>{}</th><td>{:.2}, {:.2} <i>{:.1} % off</i></td><td>{:.2}, {:.2} <i>{:.1} % off</i></td></tr>",
            phase.name,
            phase.sends.0,
            phase.sends.1,
            phase.sends_off(),
            phase.good.0,
            phase.good.1,
            phase.good_off()
        );
    }
    text + "</table>"
}

fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

type Panel = (&'static str, fn(&Row) -> u64);

const PANELS: [Panel; 2] =
    [("sends a second", |row| row.sends), ("calls that succeed, a second", |row| row.good)];
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 150.0;
const CSS: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--paper:#fff;--soft:#5b6675;--card:#f7f8fa;--rule:#d9dee5;--lab:#a9c4e6;--real:#c2410c;--fault:#fbe3c8}\
@media(prefers-color-scheme:dark){:root{--ink:#e7ebf0;--paper:#12161c;--soft:#9aa6b5;--card:#191f27;--rule:#2b333e;--lab:#2f547f;--real:#fb923c;--fault:#4a3216}}\
body{margin:0 auto;max-width:80rem;padding:1.5rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\
h1{margin:0;font-size:1.6rem}h2{margin:0 0 .4rem;font-size:1.05rem}p{max-width:55rem}\
.lanes{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,23rem),1fr));gap:1rem}\
section{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:.9rem;overflow-x:auto}\
figure{margin:0 0 .8rem}figcaption{font-size:.85rem;color:var(--soft)}\
svg{display:block;width:100%;height:9rem;border-bottom:1px solid var(--rule)}\
.fault{fill:var(--fault)}.lab{fill:var(--lab);opacity:.8}.real{fill:none;stroke:var(--real);stroke-width:1.6;vector-effect:non-scaling-stroke}\
table{font-size:.8rem;border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:.2rem .6rem .2rem 0;font-weight:500}td i{color:var(--soft);font-style:normal}";
