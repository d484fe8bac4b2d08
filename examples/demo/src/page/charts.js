// The charts: small, of fixed height, a minute wide, each with its own labels as legend.
"use strict";

const Charts = (() => {
  const SPAN = 60;
  const plots = [];
  let points = [];

  // Colours live in the style sheet; a canvas has to be told them.
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  function colour(name) {
    probe.className = name;
    return getComputedStyle(probe).color;
  }

  function nice(number) {
    const step = 10 ** Math.floor(Math.log10(Math.max(number, 1)));
    return [1, 2, 5, 10].map((k) => k * step).find((k) => k >= number) ?? 10 * step;
  }
  function most(pick, least) {
    let top = least;
    for (const point of points) for (const value of pick(point)) if (value > top) top = value;
    return nice(top);
  }

  const seconds = (value) => (value === 0 ? "now" : `${value} s`);
  const wait = (value) => (value >= 1000 ? `${value / 1000} s` : `${value} ms`);

  // `series`: { of, colour, width, dash, fill }; `y`: { range, unit, log }.
  function make(host, series, y, under) {
    const font = "11px system-ui, sans-serif";
    const options = {
      width: host.clientWidth || 300,
      height: host.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 16, 0, 0],
      scales: {
        x: { time: false, range: () => [-SPAN, 0] },
        y: { range: y.range, distr: y.log ? 3 : 1 },
      },
      axes: [
        { font, size: 24, stroke: () => colour("k-muted"), grid: { show: false }, ticks: { show: false },
          splits: () => [-60, -45, -30, -15, 0], values: (_, splits) => splits.map(seconds) },
        { font, size: 48, stroke: () => colour("k-muted"), grid: { stroke: () => colour("k-grid"), width: 1 }, ticks: { show: false },
          splits: y.splits, values: (_, splits) => splits.map((value) => (value === null ? "" : y.unit(value))), filter: y.log ? (_, splits) => splits : undefined },
      ],
      series: [{}, ...series.map((one) => ({
        stroke: () => colour(one.colour),
        width: one.width ?? 2,
        dash: one.dash,
        fill: one.fill ? () => colour(one.fill) : undefined,
        points: { show: false },
        spanGaps: false,
      }))],
      hooks: { drawClear: under ? [under] : [] },
    };
    const plot = new uPlot(options, [[], ...series.map(() => [])], host);
    plots.push({ plot, host, series });
    new ResizeObserver(() => {
      if (host.clientWidth > 0) plot.setSize({ width: host.clientWidth, height: host.clientHeight });
    }).observe(host);
  }

  // While the circuit is open, the ground behind the budget is red; while it probes, lighter.
  function circuit(plot) {
    const { ctx, bbox } = plot;
    const last = points.at(-1)?.at ?? 0;
    for (let at = 0; at < points.length; at += 1) {
      if (points[at].circuit === "closed") continue;
      const from = (points[at].at - last) / 1000;
      const to = ((points[at + 1] ?? points[at]).at - last) / 1000;
      if (from < -SPAN) continue;
      const left = plot.valToPos(from, "x", true);
      ctx.fillStyle = colour(points[at].circuit === "open" ? "k-open" : "k-probing");
      ctx.fillRect(left, bbox.top, Math.max(plot.valToPos(to, "x", true) - left, 2), bbox.height);
    }
  }

  function lane(host, index, colourOf) {
    const top = () => most((point) => [...point.placing, ...point.sending], 20);
    make(host, [
      { of: (point) => point.sending[index], colour: colourOf, width: 2.5, fill: `${colourOf}-soft` },
      { of: (point) => point.placing[index], colour: "k-muted", width: 1.5, dash: [5, 4] },
    ], { range: () => [0, top()], splits: () => [0, top() / 2, top()], unit: (value) => `${value}/s` });
  }

  function all() {
    const of = (id) => document.getElementById(id);
    const lanes = [["k-once", [5, 4], 2], ["k-naive", undefined, 2], ["k-aplomb", undefined, 2.5]];
    make(of("chart-accepted"), lanes.map(([own, dash, width], index) => (
      { of: (point) => point.accepted[index], colour: own, dash, width })),
    { range: () => [0, 104], splits: () => [0, 25, 50, 75, 100], unit: (value) => `${value} %` });
    make(of("chart-wait"), lanes.flatMap(([own, dash, width], index) => [
      { of: (point) => atLeast(point.p99[index]), colour: own, dash, width },
      { of: (point) => atLeast(point.p50[index]), colour: own, dash: [1, 3], width: 1.5 },
    ]), { range: () => [1, 10000], splits: () => [1, 10, 100, 1000, 10000], unit: wait, log: true });
    const cap = () => most((point) => [point.budget ?? 0], 10);
    make(of("chart-budget"), [
      { of: (point) => point.budget, colour: "k-aplomb", width: 2.5, fill: "k-aplomb-soft" },
    ], { range: () => [0, cap() * 1.04], splits: () => [0, cap() / 2, cap()], unit: (value) => `${value}` }, circuit);
    const depth = () => most((point) => [point.open, point.queued, point.letters], 10);
    make(of("chart-queue"), [
      { of: (point) => point.open, colour: "k-third", dash: [5, 4] },
      { of: (point) => point.queued, colour: "k-aplomb" },
      { of: (point) => point.letters, colour: "k-bad", width: 2.5 },
    ], { range: () => [0, depth()], splits: () => [0, depth() / 2, depth()], unit: (value) => `${value}` });
  }

  // A logarithm has no place for less than a millisecond.
  const atLeast = (value) => (value === null ? null : Math.max(value, 1));

  function draw(kept) {
    points = kept;
    const last = points.at(-1)?.at ?? 0;
    const x = points.map((point) => (point.at - last) / 1000);
    for (const { plot, series } of plots) {
      plot.setData([x, ...series.map((one) => points.map(one.of))]);
    }
  }

  return { lane, all, draw, redraw: () => plots.forEach(({ plot }) => plot.redraw(false, true)) };
})();
