//! The panels of one case: four pictures above each other on one time axis.

use std::fmt::Write as _;

use crate::report::short;
use crate::series::{Point, Series};

/// What all cards of a variant share, so that they can be compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Seconds.
    pub(crate) horizon: f64,
    /// Calls or requests a second.
    pub(crate) rate: f64,
    /// Seconds in the queue.
    pub(crate) wait: f64,
}

/// What is marked in the panels.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// From second to second.
    pub(crate) fault: Option<(f64, f64)>,
    pub(crate) capacity: Option<f64>,
    pub(crate) timeout: Option<f64>,
}

/// One picture: four panels.
pub(crate) fn panels(series: &Series, scale: Scale, marks: Marks, title: &str) -> String {
    let mut svg = Svg { text: String::new(), series, scale, marks };
    let _ = write!(
        svg.text,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
    );
    svg.rates(0, "sends a second", &[("calls", |p| p.calls), ("sends", |p| p.attempts)]);
    svg.rates(1, "answers a second", &[("done", |p| p.throughput), ("good", |p| p.goodput)]);
    svg.waits(2);
    svg.shares(3);
    svg.time();
    svg.text.push_str("</svg>");
    svg.text
}

type Line = (&'static str, fn(&Point) -> f64);

struct Svg<'a> {
    text: String,
    series: &'a Series,
    scale: Scale,
    marks: Marks,
}

impl Svg<'_> {
    fn rates(&mut self, panel: usize, title: &str, lines: &[Line]) {
        self.frame(panel, title);
        let most = self.scale.rate;
        self.tick(panel, 1.0, &short(most));
        self.tick(panel, 0.5, &short(most / 2.0));
        for (class, of) in lines {
            self.line(panel, class, |point| Some(of(point) / most));
        }
        if let Some(capacity) = self.marks.capacity {
            self.level(panel, "limit", capacity / most);
        }
    }

    /// Waits range from a millisecond to minutes: their axis is logarithmic.
    fn waits(&mut self, panel: usize) {
        self.frame(panel, "wait in the queue");
        let most = self.scale.wait.max(1.0);
        let place = |wait: f64| (wait.max(LEAST_WAIT) / LEAST_WAIT).ln() / (most / LEAST_WAIT).ln();
        let mut decade = 0.01;
        while decade <= most {
            self.tick(panel, place(decade), &format!("{} s", short(decade)));
            decade *= 10.0;
        }
        self.line(panel, "wait", |point| point.wait.map(place));
        if let Some(timeout) = self.marks.timeout {
            self.level(panel, "limit", place(timeout));
        }
    }

    fn shares(&mut self, panel: usize) {
        self.frame(panel, "budget, open circuits");
        self.tick(panel, 1.0, "100 %");
        self.tick(panel, 0.5, "50 %");
        let most = self.series.points.iter().filter_map(|p| p.held).fold(0.0, f64::max);
        if most <= 0.0 {
            let (x, y) = (LEFT + (WIDTH - LEFT) / 2.0, y(panel, 0.2));
            let _ =
                write!(self.text, "<text class=\"none\" x=\"{x}\" y=\"{y:.1}\">no budget</text>");
        }
        self.line(panel, "held", |point| point.held.filter(|_| most > 0.0).map(|h| h / most));
        if self.series.points.iter().any(|point| point.open > 0.0) {
            self.line(panel, "open", |point| Some(point.open));
        }
    }

    fn frame(&mut self, panel: usize, title: &str) {
        let (top, right) = (top(panel), WIDTH - LEFT);
        if let Some((from, to)) = self.marks.fault {
            let (from, to) = (self.x(from), self.x(to.min(self.scale.horizon)));
            let _ = write!(
                self.text,
                "<rect class=\"fault\" x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{TALL}\"/>",
                to - from
            );
        }
        let _ = write!(
            self.text,
            "<rect class=\"frame\" x=\"{LEFT}\" y=\"{top}\" width=\"{right}\" height=\"{TALL}\"/>\
             <text class=\"title\" x=\"{LEFT}\" y=\"{}\">{title}</text>",
            top - 4.0
        );
    }

    fn tick(&mut self, panel: usize, share: f64, label: &str) {
        let y = y(panel, share);
        let _ = write!(
            self.text,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{WIDTH}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{:.1}\">{label}</text>",
            LEFT - 3.0,
            y + 3.0
        );
    }

    fn level(&mut self, panel: usize, class: &str, share: f64) {
        if share <= 1.0 {
            let _ = write!(
                self.text,
                "<path class=\"{class}\" d=\"M{LEFT} {:.1}H{WIDTH}\"/>",
                y(panel, share)
            );
        }
    }

    fn line(&mut self, panel: usize, class: &str, share: impl Fn(&Point) -> Option<f64>) {
        let mut path = String::new();
        let mut at = 0.0;
        let (step, mut pen) = (crate::units::float(self.series.step as u64), 'M');
        for point in &self.series.points {
            match share(point) {
                Some(share) => {
                    let _ = write!(path, "{pen}{:.1} {:.1}", self.x(at), y(panel, share.min(1.0)));
                    pen = 'L';
                }
                None => pen = 'M',
            }
            at += step;
        }
        let _ = write!(self.text, "<path class=\"{class}\" d=\"{path}\"/>");
    }

    fn time(&mut self) {
        let horizon = self.scale.horizon;
        for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
            let _ = write!(
                self.text,
                "<text class=\"time\" text-anchor=\"{anchor}\" x=\"{:.1}\" y=\"{}\">{} s</text>",
                self.x(share * horizon),
                HEIGHT - 2.0,
                short(share * horizon)
            );
        }
    }

    fn x(&self, second: f64) -> f64 {
        LEFT + (WIDTH - LEFT) * second / self.scale.horizon.max(1e-9)
    }
}

fn top(panel: usize) -> f64 {
    let panel = crate::units::float(panel as u64);
    16.0 + panel * (TALL + GAP)
}

fn y(panel: usize, share: f64) -> f64 {
    top(panel) + TALL * (1.0 - share)
}

const WIDTH: f64 = 360.0;
const LEFT: f64 = 44.0;
const TALL: f64 = 64.0;
const GAP: f64 = 20.0;
const HEIGHT: f64 = 16.0 + 4.0 * TALL + 3.0 * GAP + 16.0;
/// Shorter waits are drawn at the bottom.
const LEAST_WAIT: f64 = 0.001;
