//! The report as a page: one file that needs nothing else.

mod map;
mod plot;

use std::fmt::Write as _;

use crate::figures::{self, figures};
use crate::keys::keys;
use crate::model::Model;
use crate::report::{Outcome, Report, cell, is_never, short};
use crate::units::seconds;
use crate::verdict;
use crate::words::{Fault, Start};
use plot::{Marks, Scale};

impl Report {
    /// Everything as one HTML file: a verdict in words, the figures, a picture of each policy. It
    /// has no scripts and asks nobody for anything. The same bytes for the same seeds.
    pub fn to_html(&self) -> String {
        let mut page = head(&format!("{}: retry-storm lab", self.scenario));
        let _ = write!(
            page,
            "<h1>{}</h1><p class=\"about\">{}</p>",
            escape(&self.scenario),
            escape(&self.about)
        );
        if self.is_partial() {
            page.push_str("<p><b>Partial:</b> the run was ended early; runs are missing.</p>");
        }
        let variants = self.variants();
        if let Some(outcome) = self.outcomes.first() {
            page.push_str(&settings(outcome));
        }
        page.push_str("<h2>Verdict</h2>");
        for (variant, outcomes) in &variants {
            let name = if variant.is_empty() {
                String::new()
            } else {
                format!("<b>{}</b> ", variant_name(variant))
            };
            let _ = write!(
                page,
                "<p class=\"verdict\">{name}{}</p>",
                escape(&verdict::together(outcomes))
            );
        }
        page.push_str("<h2>Figures</h2>");
        page.push_str(&self.figures_table());
        page.push_str("<h2>Second by second</h2>");
        page.push_str(LEGEND);
        let last = variants.len() - 1;
        for (place, (variant, outcomes)) in variants.iter().enumerate() {
            let cards = cards(outcomes);
            if variant.is_empty() {
                page.push_str(&cards);
                continue;
            }
            let open = if place == last { " open" } else { "" };
            let _ = write!(
                page,
                "<details{open}><summary>{}</summary>{cards}</details>",
                variant_name(variant)
            );
        }
        page.push_str(&self.footer());
        page
    }

    /// The cases by what varies, in order.
    fn variants(&self) -> Vec<(&str, Vec<&Outcome>)> {
        let mut variants: Vec<(&str, Vec<&Outcome>)> = Vec::new();
        for outcome in &self.outcomes {
            let name = outcome.variant();
            match variants.iter_mut().find(|(known, _)| *known == name) {
                Some((_, outcomes)) => outcomes.push(outcome),
                None => variants.push((name, vec![outcome])),
            }
        }
        variants
    }

    fn figures_table(&self) -> String {
        let shown = self.shown();
        let mut table = String::from("<div class=\"wide\"><table><thead><tr><th>policy</th>");
        for &place in &shown {
            let _ = write!(
                table,
                "<th title=\"{}\">{}</th>",
                escape(figures()[place].means),
                figures()[place].name.replace('_', " ")
            );
        }
        table.push_str("</tr></thead><tbody>");
        let largest = |place: usize| {
            let means = self.outcomes.iter().filter_map(|outcome| outcome.statistic(place).mean);
            means.fold(0.0, f64::max)
        };
        let largest: Vec<f64> = shown.iter().map(|&place| largest(place)).collect();
        for outcome in &self.outcomes {
            let _ = write!(table, "<tr><th>{}</th>", escape(outcome.name()));
            for (&place, &largest) in shown.iter().zip(&largest) {
                let mean = outcome.statistic(place).mean.unwrap_or(0.0);
                let width = if largest > 0.0 { 100.0 * mean / largest } else { 0.0 };
                let class = if is_never(outcome, place) { " class=\"never\"" } else { "" };
                let text = escape(&cell(outcome, place));
                let _ = write!(table, "<td{class} style=\"--w:{width:.0}%\">{text}</td>");
            }
            table.push_str("</tr>");
        }
        table.push_str("</tbody></table></div>");
        table
    }

    fn footer(&self) -> String {
        let mut text =
            String::from("<h2>How to read it</h2><details><summary>The figures</summary><dl>");
        for place in self.shown() {
            let figure = &figures::figures()[place];
            let _ = write!(text, "<dt>{}</dt><dd>{}</dd>", figure.name, escape(figure.means));
        }
        text.push_str("</dl></details>");
        let seeds = self.outcomes.first().map_or(0, |outcome| outcome.model().seeds);
        let _ = writeln!(
            text,
            "<p class=\"soft\">± is half the width of the 95 % confidence interval over {seeds} seeds; \
             lines are means over them. {} events were handled. Made by <code>aplomb lab run</code> with \
             the layers' own machines under virtual time; the same seeds make the same file.</p></body></html>",
            self.events()
        );
        text
    }
}

pub(crate) fn head(title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{CSS}</style></head><body>",
        escape(title)
    )
}

/// What a model is made of, beyond the defaults.
fn settings(outcome: &Outcome) -> String {
    let model = outcome.model();
    let varies = outcome.variant().split('=').next().unwrap_or_default();
    let mut parts = Vec::new();
    let has_load = model.start == Start::Open && varies != "arrivals_per_second";
    if let (Some(capacity), true) = (model.capacity_per_second(), has_load) {
        let load = 100.0 * model.arrivals_per_second / capacity;
        parts.push(format!(
            "<span>capacity <b>{}</b> a second</span><span>load <b>{load:.0} %</b></span>",
            short(capacity)
        ));
    }
    let default = Model::default();
    for key in keys().filter(|key| !OF_POLICIES.contains(&key.name) && key.name != varies) {
        let (own, usual) = (model.get(key.name), default.get(key.name));
        if let Some(value) = own.filter(|own| usual.as_ref() != Some(own)) {
            let name = key.name.replace('_', " ");
            parts.push(format!("<span>{name} <b>{}</b></span>", escape(&value)));
        }
    }
    format!("<p class=\"settings\">{}</p>", parts.concat())
}

fn cards(outcomes: &[&Outcome]) -> String {
    let drawn: Vec<_> = outcomes.iter().map(|outcome| (outcome, outcome.series())).collect();
    let points = || drawn.iter().flat_map(|(_, series)| &series.points);
    let rate = points().map(|p| p.attempts.max(p.throughput).max(p.calls)).fold(1.0, f64::max);
    let rate = round_above(rate);
    let wait = points().filter_map(|point| point.wait).fold(0.0, f64::max);
    let mut text = String::from("<div class=\"cards\">");
    for (outcome, series) in &drawn {
        let model = outcome.model();
        let scale = Scale { horizon: seconds(model.horizon), rate, wait };
        let name = escape(outcome.policy());
        let picture = plot::panels(series, scale, marks(model), &name);
        let says = escape(&verdict::of(outcome));
        let _ = write!(
            text,
            "<section class=\"card\"><h3>{name}</h3><p class=\"soft\">{says}</p>{picture}</section>"
        );
    }
    text.push_str("</div>");
    text
}

/// A number that reads well on an axis: two digits, the second of them even.
fn round_above(value: f64) -> f64 {
    let step = 2.0 * libm::pow(10.0, libm::floor(libm::log10(value)) - 1.0);
    (value / step).ceil() * step
}

fn marks(model: &Model) -> Marks {
    let fault = (seconds(model.fault_start), seconds(model.fault_end()));
    Marks {
        fault: (model.fault != Fault::None).then_some(fault),
        capacity: model.capacity_per_second(),
        timeout: model.attempt_timeout.map(seconds),
    }
}

/// `clients=100` as people write it.
fn variant_name(variant: &str) -> String {
    escape(&variant.replace(['_', '='], " "))
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[test]
fn an_axis_ends_at_a_round_number() {
    for (value, above) in
        [(1.0, "1"), (1.05, "1.2"), (3156.0, "3200"), (99.0, "100"), (250.0, "260")]
    {
        assert_eq!(short(round_above(value)), above);
    }
}

const CSS: &str = include_str!("page.css");
const LEGEND: &str = "<ul class=\"legend\">\
    <li><i class=\"box\"></i>the fault</li>\
    <li><i style=\"color:var(--calls)\"></i>calls</li><li><i style=\"color:var(--sends)\"></i>sends</li>\
    <li><i style=\"color:var(--done)\"></i>work done</li><li><i style=\"color:var(--good)\"></i>calls that succeed</li>\
    <li><i style=\"color:var(--wait)\"></i>wait in the queue</li><li><i style=\"color:var(--held)\"></i>budget, of its most</li>\
    <li><i style=\"color:var(--open)\"></i>clients with an open circuit</li>\
    <li><i class=\"dash\"></i>capacity; patience with one attempt</li></ul>";
/// What policies differ in is told by the policies.
const OF_POLICIES: [&str; 8] =
    ["backoff", "budget", "ratio", "budget_cap", "breaker", "admission", "heed", "seed"];
