// The page: what the server tells twice a second, shown; what the visitor turns, sent.
"use strict";

const byId = (id) => document.getElementById(id);
const LANES = [
  { name: "once", title: "No retries", how: "One request. Whatever happens to it, the customer is told." },
  { name: "naive", title: "Naive retries", how: "Up to three more, at once: no key, no budget, no wait." },
  { name: "aplomb", title: "aplomb", how: "Keyed retries that spend a budget, behind a breaker; what nobody knows is “pending”, never “failed”." },
];
const STORIES = [
  ["Last item, lost answer", "The last mug gets reserved, then the answer is lost. Watch what each customer reads: an error, “sold out”, or the truth."],
  ["Slow by three seconds", "Everybody gives up after half a second, yet the work is done. Watch naive’s duplicates climb; aplomb says “we have your order”."],
  ["Flaky", "One call in five fails. Watch no retries drop to 80 %; retries close the gap, aplomb’s out of a budget."],
  ["Outage and recovery", "Inventory is gone. Watch naive send four times as much, and aplomb’s breaker open (red ground): it only probes."],
  ["Retry storm", "Hardly any capacity. Watch naive multiply its requests just then; aplomb’s budget runs dry and it stops pushing."],
  ["The poison shipment", "One order cannot be shipped. Watch the queue wait, and a dead letter appear, then go when it is redriven."],
  ["The customer clicks again", "Two clicks, one wish. Watch the rows: two reservations without a key, one order with."],
  ["Restarts under load", "Inventory restarts three times. Watch the other lanes fail; aplomb’s customers at worst wait for their confirmation."],
];
const percent = { show: (value) => `${Math.round(value)} %`, read: (value) => value * 100, write: (value) => value / 100 };
const plain = { show: (value) => `${value}`, read: (value) => value, write: (value) => value };
const millis = { ...plain, show: (value) => `${value} ms` };
const perSecond = { ...plain, show: (value) => (value === 0 ? "no bound" : `${value} / s`) };
const KNOBS = [
  { name: "rate", label: "Orders", max: 30, unit: { ...plain, show: (value) => `${value} / s` }, effect: "In each lane. All lines of requests rise with it." },
  { name: "latency_ms", label: "Latency", max: 4000, step: 50, unit: millis, effect: "Waits grow; from 500 ms on callers give up, and the work is done all the same." },
  { name: "latency_jitter_ms", label: "Jitter", max: 2000, step: 50, unit: millis, effect: "Spreads the waits: p99 leaves p50." },
  { name: "error_rate", label: "Errors", max: 100, unit: percent, effect: "Answered with the status below, before anything is done." },
  { name: "error_status", label: "Error status", choices: [[0, "503"], [500, "500"], [502, "502"], [504, "504"], [429, "429"]], unit: plain, effect: "Shown in the orders’ timelines." },
  { name: "lose_response_rate", label: "Lost answers", max: 100, unit: percent, effect: "Done, yet nobody hears of it: naive’s duplicates climb." },
  { name: "lose_next", label: "Lose the next answers", number: 1000, unit: plain, effect: "So many answers are lost, then it is over: this counts down to 0." },
  { name: "drop_connection_rate", label: "Dropped connections", max: 100, unit: percent, effect: "Cut before anything is done: retries heal it." },
  { name: "hang_rate", label: "Hanging calls", max: 100, unit: percent, effect: "Taken, never answered: callers find out by their own timeouts." },
  { name: "cut_body_rate", label: "Torn answers", max: 100, unit: percent, effect: "Done, but the answer breaks off halfway: as bad as a lost one." },
  { name: "capacity_per_second", label: "Capacity", max: 100, unit: perSecond, effect: "Beyond it, 503: retries fight for room." },
  { name: "work_ms", label: "Work for each call", max: 500, step: 5, unit: millis, effect: "Calls take their turn: more of them than fit, and all are late." },
  { name: "workers", label: "Places to work at", max: 16, unit: { ...plain, show: (value) => `${Math.max(1, value)}` }, effect: "So many calls are worked on at a time." },
  { name: "down", label: "Down", toggle: true, unit: plain, effect: "Every connection is cut; the breaker opens." },
  { name: "seed", label: "Seed of the faults", number: 999999, unit: plain, effect: "The same seed brings the same faults again." },
];

let points = [];
let state = null;
let run = null;
const lanes = [];
const knobs = new Map();

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
// Touches the page only where something changed: nothing flickers, nothing is announced twice.
function say(at, text) {
  if (at.textContent !== text) at.textContent = text;
}
const whole = (number) => Math.round(number).toLocaleString("en");
const one = (number) => (number ?? 0).toFixed(1);

// ---- building -------------------------------------------------------------------------------

function buildLanes() {
  for (const [index, { name, title, how }] of LANES.entries()) {
    const card = byId("lane-template").content.cloneNode(true).firstElementChild;
    card.id = `lane-${name}`;
    card.classList.add(`c-${name}`);
    card.querySelector("h2").textContent = title;
    card.querySelector(".how").textContent = how;
    card.querySelector(".plot").setAttribute("role", "img");
    card.querySelector(".plot").setAttribute("aria-label", `${title}: orders and requests a second, over the last minute`);
    byId("lanes").append(card);
    const is = {};
    for (const at of card.querySelectorAll("[data-is]")) is[at.dataset.is] = at;
    lanes.push(is);
    Charts.lane(card.querySelector(".plot"), index, `k-${name}`);
  }
}

function buildStories() {
  for (const [index, [title, caption]] of STORIES.entries()) {
    const number = index + 1;
    const item = element("li");
    const button = element("button", "story");
    button.type = "button";
    button.id = `story-${number}`;
    button.append(element("span", "n", number), element("span", "title", title), element("span", "caption", caption));
    button.addEventListener("click", () => send("POST", `stories/${number}`));
    const mark = element("span", "mark");
    mark.id = `mark-${number}`;
    button.querySelector(".title").append(mark);
    item.append(button);
    byId("story-list").append(item);
  }
}

function buildKnobs() {
  for (const knob of KNOBS) {
    const row = element("div", "knob");
    const label = element("label", "", knob.label);
    const id = `knob-${knob.name}`;
    label.htmlFor = id;
    const input = element(knob.choices ? "select" : "input");
    input.id = id;
    input.setAttribute("aria-describedby", `${id}-effect`);
    const shown = element("output");
    shown.htmlFor = id;
    const effect = element("p", "effect", knob.effect);
    effect.id = `${id}-effect`;
    if (knob.choices) {
      for (const [value, text] of knob.choices) input.append(new Option(text, value));
      row.append(label, input, effect);
    } else if (knob.toggle || knob.number) {
      Object.assign(input, knob.toggle ? { type: "checkbox" } : { type: "number", min: 0, max: knob.number, step: 1 });
      row.append(label, input, effect);
    } else {
      Object.assign(input, { type: "range", min: 0, max: knob.max, step: knob.step ?? 1 });
      row.append(label, shown, input, effect);
    }
    input.addEventListener("input", () => turn(knob, input));
    byId("knob-set").append(row);
    knobs.set(knob.name, { knob, input, shown, touched: -Infinity });
  }
  byId("knobs").addEventListener("submit", (event) => event.preventDefault());
  byId("calm").addEventListener("click", calm);
}

function labels(id, list) {
  byId(id).append(...list.map(([className, text, name, swatch]) => {
    const label = element("span", `label own ${className}`);
    label.append(element("i", `swatch ${swatch ?? ""}`), `${text} `);
    if (name) {
      const value = element("b", "", "–");
      value.id = name;
      label.append(value);
    }
    return label;
  }));
}

function buildCharts() {
  const three = (kind) => LANES.map(({ name }) => [`c-${name}`, name === "once" ? "no retries" : name, `${kind}-${name}`]);
  labels("labels-accepted", three("accepted"));
  labels("labels-wait", [...three("wait"), ["", "p99; dotted: p50"]]);
  labels("labels-budget", [["c-aplomb", "retries in the budget", "budget"], ["", "breaker", "circuit", "block"]]);
  labels("labels-queue", [["c-third", "pending orders", "open"], ["c-aplomb", "to be shipped", "queued"], ["c-bad", "dead letters", "letters"]]);
  for (const [id, what] of [["accepted", "share of customers with an order, in percent"], ["wait", "p50 and p99 of customers’ waits"], ["budget", "retries in the budget, and when the breaker was open"], ["queue", "pending orders, shipments in the queue, dead letters"]]) {
    byId(`chart-${id}`).setAttribute("role", "img");
    byId(`chart-${id}`).setAttribute("aria-label", `${what}, over the last minute`);
  }
  Charts.all();
}

// ---- sending --------------------------------------------------------------------------------

async function send(method, path, body) {
  try {
    const answer = await fetch(path, { method, headers: { "content-type": "application/json" }, body: body && JSON.stringify(body) });
    if (answer.ok) return say(byId("wrong"), "");
    const problem = await answer.json().catch(() => ({}));
    say(byId("wrong"), problem.detail ?? problem.title ?? `answered ${answer.status}`);
  } catch {
    say(byId("wrong"), "The demo does not answer.");
  }
}

let unsent = {};
let sending = 0;
function turn(knob, input) {
  const own = knobs.get(knob.name);
  own.touched = performance.now();
  const raw = knob.toggle ? input.checked : Math.max(0, Number(input.value) || 0);
  if (!knob.toggle) own.shown.textContent = knob.unit.show(raw);
  unsent[knob.name] = knob.toggle ? raw : knob.unit.write(raw);
  clearTimeout(sending);
  sending = setTimeout(flush, 120);
}
function flush() {
  const { rate, ...faults } = unsent;
  unsent = {};
  const body = {};
  if (rate !== undefined) body.rate = rate;
  // The answers that were lost already are not to be lost again.
  if (Object.keys(faults).length) body.chaos = { ...state?.knobs, lose_next: 0, seed: 0, ...faults };
  send("PUT", "knobs", body);
}
function calm() {
  clearTimeout(sending);
  unsent = {};
  for (const own of knobs.values()) own.touched = -Infinity;
  send("PUT", "knobs", { chaos: {} });
}

// ---- showing --------------------------------------------------------------------------------

function bump(at, text) {
  if (at.textContent === text) return;
  at.textContent = text;
  at.classList.remove("is-new");
  void at.offsetWidth;
  at.classList.add("is-new");
}

function showTiles() {
  let conserved = true;
  for (const lane of state.lanes) {
    const at = byId(`dup-${lane.name}`);
    bump(at, whole(lane.duplicates));
    at.classList.toggle("is-zero", lane.duplicates === 0);
    say(byId(`sum-${lane.name}`), `${whole(lane.initial)} = ${whole(lane.available)} + ${whole(lane.reserved)}`);
    conserved &&= lane.conserved;
  }
  const verdict = byId("conserved");
  say(verdict, conserved ? "✓ yes" : "✗ no");
  verdict.classList.toggle("is-good", conserved);
  verdict.classList.toggle("is-bad", !conserved);
}

function showLanes(point) {
  for (const [index, lane] of state.lanes.entries()) {
    const is = lanes[index];
    const line = state.story.playing?.lines[index];
    say(is.placing, one(point.placing[index]));
    say(is.sending, one(point.sending[index]));
    say(is.accepted, point.accepted[index] === null ? "–" : `${Math.round(point.accepted[index])} %`);
    say(is["per-order"], lane.orders ? (lane.sends / lane.orders).toFixed(2) : "–");
    say(is.failed, whole(lane.failed + lane.sold_out));
    const reads = line?.reads ?? lane.reads ?? "–";
    say(is.reads, reads === "–" ? reads : `“${reads}”`);
    is.reads.classList.toggle("is-bad", /wrong|sold out/.test(reads));
    // A confirmed order that holds nothing, or an item that nobody was told of.
    const nobody = Math.max(0, lane.reservations - lane.confirmed);
    const rows = index < 2 ? `${whole(nobody)} reserved that no customer was told of` : `${whole(lane.reservations)} reserved once each, ${whole(state.replays)} answers replayed`;
    say(is.rows, `The rows say: ${line?.rows ?? rows}.`);
  }
}

function showLabels(point) {
  for (const [index, { name }] of LANES.entries()) {
    const wait = point.p99[index];
    say(byId(`accepted-${name}`), point.accepted[index] === null ? "–" : `${Math.round(point.accepted[index])} %`);
    say(byId(`wait-${name}`), wait === null ? "–" : wait >= 1000 ? `${(wait / 1000).toFixed(1)} s` : `${Math.round(wait)} ms`);
  }
  say(byId("budget"), point.budget === null ? "–" : one(point.budget));
  say(byId("circuit"), point.circuit.replace("_", "-"));
  say(byId("open"), whole(point.open));
  say(byId("queued"), whole(point.queued));
  say(byId("letters"), whole(point.letters));
}

function showStories() {
  const { playing, verdicts } = state.story;
  for (let number = 1; number <= STORIES.length; number += 1) {
    const button = byId(`story-${number}`);
    button.disabled = Boolean(playing);
    button.classList.toggle("is-on", playing?.number === number);
    const mark = byId(`mark-${number}`);
    const verdict = verdicts[number];
    say(mark, verdict ? (verdict.held ? "✓" : "✗") : "");
    mark.classList.toggle("is-bad", verdict ? !verdict.held : false);
  }
  if (playing) tell(`Story ${playing.number}`, `${playing.step || "it begins"}.`, "is-on");
  else if (toldStory && verdicts[toldStory]) {
    const { held, text } = verdicts[toldStory];
    tell(held ? "As promised" : "Not as promised", `${text}.`, held ? "is-good" : "is-bad");
  }
  toldStory = playing?.number ?? toldStory;
}
let toldStory = 0;
let toldText = "";
function tell(head, text, kind) {
  if (head + text === toldText) return;
  toldText = head + text;
  byId("step").className = `step ${kind}`;
  byId("step").replaceChildren(element("b", "", `${head}: `), text);
}

function showKnobs() {
  byId("knob-set").disabled = Boolean(state.story.playing);
  byId("calm").disabled = Boolean(state.story.playing);
  const told = { ...state.knobs, rate: state.rate };
  for (const [name, { knob, input, shown, touched }] of knobs) {
    // What the visitor holds in the hand is theirs for a moment.
    if (performance.now() - touched < 1500 || told[name] === undefined) continue;
    if (knob.toggle) input.checked = told[name];
    else {
      const value = Math.round(knob.unit.read(told[name]));
      if (input.value !== String(value)) input.value = value;
      say(shown, knob.unit.show(value));
    }
  }
}

let lawsShown = "";
function showLaws() {
  const key = JSON.stringify(state.laws);
  if (key === lawsShown || state.laws.length === 0) return;
  lawsShown = key;
  const broken = state.laws.filter((law) => law.broken > 0).length;
  say(byId("laws-sum"), broken ? `${broken} of ${state.laws.length} laws are broken` : `${state.laws.length} laws between the databases hold`);
  byId("laws-sum").classList.toggle("is-bad", broken > 0);
  byId("laws").replaceChildren(...state.laws.map(({ law, broken: count }) => {
    const item = element("li", count ? "is-bad" : "", law);
    item.append(element("span", "", count ? `broken ${count} times` : "✓"));
    return item;
  }));
}

let rowsShown = "";
function showOrders() {
  const eventful = byId("eventful").checked;
  const rows = state.orders.filter((order) => order.eventful === eventful || (!eventful && order.eventful)).slice(0, 16);
  rows.sort((a, b) => (a.id < b.id ? 1 : -1));
  const key = JSON.stringify(rows);
  if (key === rowsShown) return;
  rowsShown = key;
  const focused = document.activeElement?.dataset?.order;
  byId("orders").replaceChildren(...(rows.length ? rows.map(orderRow) : [element("li", "none", eventful ? "Nothing has gone wrong yet. Press a story." : "No orders yet.")]));
  if (focused) document.querySelector(`[data-order="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function orderRow(order) {
  const item = element("li");
  const button = element("button", "order");
  button.type = "button";
  button.dataset.order = order.id;
  const kind = { confirmed: "is-good", pending: "is-wait" }[order.outcome] ?? "is-bad";
  button.append(element("code", "", `…${order.id.slice(-8)}`), element("span", `badge ${kind}`, order.outcome), element("span", "took", `${order.took_ms} ms`), chips(order.sentence));
  button.addEventListener("click", () => openTimeline(order.id));
  item.append(button);
  return item;
}

function chips(sentence) {
  const at = element("span", "chips");
  const steps = [];
  for (const step of sentence.split(" → ").filter(Boolean)) {
    if (steps.at(-1)?.step === step) steps.at(-1).times += 1;
    else steps.push({ step, times: 1 });
  }
  for (const [index, { step, times }] of steps.entries()) {
    if (index) at.append(" ", element("span", "arrow", "→"), " ");
    at.append(element("span", `chip ${kindOf(step)}`, times > 1 ? `${step} ×${times}` : step));
  }
  return at;
}
function kindOf(step) {
  if (/waited|given up|pending/.test(step)) return "is-wait";
  return /20[01]$/.test(step) ? "is-good" : "is-bad";
}

async function openTimeline(id) {
  const answer = await fetch(`orders/${id}/timeline`).catch(() => null);
  if (!answer?.ok) return say(byId("wrong"), "This order’s timeline cannot be read now.");
  const told = await answer.json();
  say(byId("timeline-title"), `Order …${id.slice(-8)}`);
  say(byId("timeline-status"), `It is ${told.status.replaceAll("_", " ")} now.`);
  const begun = told.entries[0]?.at_ms ?? 0;
  byId("timeline-steps").replaceChildren(...told.entries.map((entry) => {
    const item = element("li");
    const step = element("span", `chip ${kindOf(entry.text)}`, entry.text);
    const what = element("span");
    what.append(step);
    item.append(element("span", "at", `+${entry.at_ms - begun} ms`), what);
    return item;
  }));
  byId("timeline").showModal();
}

function show() {
  const point = points.at(-1);
  if (!point || !state) return;
  Charts.draw(points);
  showTiles();
  showLanes(point);
  showLabels(point);
  showStories();
  showKnobs();
  showOrders();
  showLaws();
}

// ---- listening ------------------------------------------------------------------------------

function linked(kind, text) {
  const link = byId("link");
  link.classList.toggle("is-live", kind === "live");
  link.classList.toggle("is-lost", kind === "lost");
  say(byId("link-text"), text);
}

function listen() {
  const events = new EventSource("events");
  events.addEventListener("message", (event) => {
    const news = JSON.parse(event.data);
    if (news.anew || news.run !== run) points = [];
    run = news.run;
    points = [...points, ...news.points].slice(-130);
    state = news.state;
    linked("live", "live");
    show();
  });
  events.addEventListener("error", () => {
    linked("lost", "reconnecting");
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
  });
}

// ---- light and dark -------------------------------------------------------------------------

function themes() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const kept = localStorage.getItem("theme");
  if (kept) root.dataset.theme = kept;
  const now = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
  const tell = () => { say(byId("theme-text"), now() === "dark" ? "Dark" : "Light"); Charts.redraw(); };
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = now() === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    tell();
  });
  dark.addEventListener("change", tell);
  tell();
}

buildLanes();
buildStories();
buildKnobs();
buildCharts();
themes();
byId("eventful").addEventListener("change", () => { rowsShown = ""; if (state) showOrders(); });
byId("timeline-close").addEventListener("click", () => byId("timeline").close());
listen();
