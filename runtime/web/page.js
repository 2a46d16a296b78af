// The page of the admin port. All that comes from outside becomes text, never markup.
"use strict";

const LOOK_MS = 2000, LETTERS_MS = 15000, LETTERS = 50;
const $ = (id) => document.getElementById(id);

// ---- the API ----

const token = () => sessionStorage.getItem("pawl-token");
let may = { read: true, write: false, token: false };

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function call(path, form) {
  const options = { cache: "no-store", credentials: "omit", redirect: "error", headers: {} };
  if (token()) options.headers.Authorization = "Bearer " + token();
  if (form) {
    options.method = "POST";
    options.body = new URLSearchParams(form);
  }
  const answer = await fetch("api/v1/" + path, options);
  const data = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, data.error);
  return data;
}

// ---- building ----

function make(tag, attributes, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick") el.addEventListener("click", value);
    else if (value !== undefined) el.setAttribute(name, value);
  }
  el.append(...children.map((child) => (child === null || child === undefined ? "" : child)));
  return el;
}

// A cell is a text, a node, or [class, text].
function row(...cells) {
  return make("tr", {}, ...cells.map((cell) =>
    Array.isArray(cell) ? make("td", { class: cell[0] }, String(cell[1] ?? "–")) : make("td", {}, cell ?? "–")));
}

// Only what has changed is drawn anew, so that the focus stays where it is.
const drawn = new Map();
function draw(key, data, target, rows) {
  const now = JSON.stringify([data, may.write]);
  if (drawn.get(key) === now) return;
  drawn.set(key, now);
  target.replaceChildren(...rows());
}

const count = (n) => (n === null || n === undefined ? "–" : n.toLocaleString("en").replaceAll(",", "\u202f"));
const clock = (t) => (t ? new Date(t).toLocaleString("sv") : "–");

function span(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 120) return s + " s";
  if (s < 7200) return Math.floor(s / 60) + " min";
  return s < 172800 ? Math.floor(s / 3600) + " h" : Math.floor(s / 86400) + " d";
}

function size(n) {
  return n === null ? "–" : n < 10240 ? n + " B" : n < 10485760 ? Math.round(n / 1024) + " KiB" : Math.round(n / 1048576) + " MiB";
}

// ---- deciding ----

function say(text, bad) {
  $("said").textContent = text;
  $("said").hidden = false;
  $("said").className = bad ? "bad" : "";
}

// Resolves with the reason that is given, or null.
function ask(text, reason) {
  const dialog = $("ask"), input = $("ask-reason");
  $("ask-text").textContent = text;
  input.value = "";
  input.parentElement.hidden = !reason;
  dialog.showModal();
  return new Promise((resolve) => {
    const end = (value) => {
      for (const [el, event, f] of heard) el.removeEventListener(event, f);
      dialog.close();
      resolve(value);
    };
    const heard = [
      [$("ask-yes"), "click", () => end(reason ? input.value : "")],
      [$("ask-no"), "click", () => end(null)],
      [dialog, "cancel", () => end(null)],
      [input, "keydown", (event) => event.key === "Enter" && end(reason ? input.value : "")],
    ];
    for (const [el, event, f] of heard) el.addEventListener(event, f);
  });
}

async function decide(what, form, question) {
  const reason = await ask(question, what !== "reload");
  if (reason === null) return;
  if (reason) form.reason = reason;
  say(what + " …");
  try {
    say((await call(what, form)).text);
  } catch (error) {
    say(error.message, true);
  }
  await look();
  await lookAtLetters();
}

function button(text, label, onclick) {
  const b = make("button", { type: "button", "aria-label": label, onclick }, text);
  b.disabled = !may.write;
  return b;
}

// ---- charts ----

function chart(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  const figure = make("figure", { class: kind });
  svg.setAttribute("viewBox", "0 0 1000 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.append(line);
  const caption = make("figcaption");
  figure.append(caption, svg);
  return { figure, caption, svg, line };
}

// points: [time, value or null]
function plot(to, name, unit, points) {
  const known = points.filter(([, v]) => v !== null);
  const last = known.length ? known[known.length - 1][1] : null;
  const top = Math.max(1, ...known.map(([, v]) => v));
  const from = points.length ? points[0][0] : 0, width = points.length ? Math.max(1, points[points.length - 1][0] - from) : 1;
  to.line.setAttribute("points", known.map(([t, v]) =>
    `${((t - from) / width * 1000).toFixed(1)},${(98 - v / top * 94).toFixed(1)}`).join(" "));
  const text = `${count(last)}${unit}`;
  to.caption.replaceChildren(`${name} `, make("b", {}, text), ` · at most ${count(known.length ? top : null)} in ${span(width)}`);
  to.svg.setAttribute("aria-label", `${name} over the last ${span(width)}: now ${text}, at most ${count(top)}`);
}

function rates(times, totals) {
  return times.slice(1).map((t, i) => [t, Math.max(0, Math.round((totals[i + 1] - totals[i]) * 1000 / Math.max(1, t - times[i])))]);
}

// ---- pipelines ----

const panels = new Map();

function panel(name) {
  const title = make("h2", { id: "pipeline-" + name }, name);
  const p = { plugin: make("p", { class: "quiet" }), state: make("p"), buttons: make("div", { class: "buttons" }), lag: chart("lag"), rate: chart("rate") };
  const table = (label, heads) => {
    const body = make("tbody");
    const tr = make("tr", {}, ...heads.map(([text, c]) => make("th", { class: c }, text)));
    return [body, make("div", { class: "wide", tabindex: "0", role: "group", "aria-label": label }, make("table", {}, make("thead", {}, tr), body))];
  };
  let partitions, workers;
  [p.partitions, partitions] = table(`Partitions of ${name}`, [["Partition"], ["Worker", "n"], ["Next", "n"], ["End", "n"], ["Lag", "n"], ["Parked", "n"], ["State"]]);
  [p.workers, workers] = table(`Workers of ${name}`, [["Worker"], ["Pid", "n"], ["State"], ["Up", "n"], ["Restarts", "n"], ["Memory", "n"], ["Last crash"]]);
  p.section = make("section", { "aria-labelledby": "pipeline-" + name }, make("div", { class: "head" }, title, p.plugin, p.state, p.buttons),
    make("div", { class: "charts" }, p.lag.figure, p.rate.figure), partitions, workers);
  return p;
}

function stateOf(pl) {
  if (pl.tripped) return ["bad", "stopped: " + pl.tripped.text];
  if (pl.reload.step) return ["", "reloading: " + pl.reload.step];
  if (pl.partitions.some((pa) => pa.state === "halted")) return ["bad", "halted"];
  const states = [...new Set(pl.workers.map((w) => w.state))];
  return [states.every((s) => s === "running" || s === "ready") ? "good" : "bad", states.join(", ")];
}

function partitionRow(pa) {
  const bad = pa.state === "halted" ? "bad" : "";
  return row(`${pa.topic}[${pa.partition}]`, ["n", pa.worker], ["n", count(pa.next_offset)], ["n", count(pa.end_offset)], ["n", count(pa.lag)],
    ["n", count(pa.parked)], [bad, pa.state + (pa.reason ? ": " + pa.reason : "")]);
}

function workerRow(w) {
  const cr = w.last_crash;
  const crash = cr ? `${clock(cr.at)} ${cr.how}${cr.topic ? ` with ${cr.topic}[${cr.partition}]@${cr.offset}` : ""}` : "";
  return row(String(w.slot), ["n", w.pid], w.state + (w.text ? ": " + w.text : ""), ["n", w.uptime_ms === null ? "–" : span(w.uptime_ms)],
    ["n", count(w.restarts)], ["n", size(w.memory_bytes)], crash);
}

function pipelineButtons(name) {
  return [["Pause", "pause", "begins no batch any more"], ["Drain", "drain", "finishes what it has and then begins nothing"], ["Resume", "resume", "goes on"]].map(
    ([text, what, meaning]) => button(text, `${text} ${name}`, () => decide(what, { pipeline: name }, `${text} ${name}? It ${meaning}, on all hosts.`)));
}

function showPipelines(status) {
  const names = status.pipelines.map((pl) => pl.name);
  if (names.join() !== [...panels.keys()].join()) {
    panels.clear();
    names.forEach((name) => panels.set(name, panel(name)));
    $("pipelines").replaceChildren(...[...panels.values()].map((p) => p.section));
  }
  for (const pl of status.pipelines) {
    const p = panels.get(pl.name), [kind, state] = stateOf(pl);
    p.plugin.textContent = `${pl.plugin.id} ${pl.plugin.version} · group ${pl.group} · ${pl.topics.join(", ")}`;
    p.state.textContent = state;
    p.state.className = kind;
    draw("buttons " + pl.name, 0, p.buttons, () => pipelineButtons(pl.name));
    draw("partitions " + pl.name, pl.partitions, p.partitions, () => pl.partitions.map(partitionRow));
    draw("workers " + pl.name, pl.workers, p.workers, () => pl.workers.map(workerRow));
  }
}

function showHistory(history) {
  for (const pl of history.pipelines) {
    const p = panels.get(pl.name);
    if (!p) continue;
    plot(p.lag, "Lag", "", history.at_ms.map((t, i) => [t, pl.lag[i]]));
    plot(p.rate, "Events", " /s", rates(history.at_ms, pl.events));
  }
  draw("reloads", history.reloads, $("reloads").tBodies[0], () => history.reloads.slice().reverse().map((re) =>
    row(["t", clock(re.at_ms)], re.pipeline, [re.outcome === "refused" || re.outcome === "rolled back" ? "bad" : "", re.outcome], re.text)));
}

function showVersions(status) {
  const what = status.pipelines.map((pl) => [pl.name, pl.plugin]);
  draw("versions", what, $("versions").tBodies[0], () => what.map(([name, plugin]) =>
    row(name, plugin.id, plugin.version, (plugin.build_id || "none").slice(0, 12), ["n", plugin.generation],
      button("Reload", `Reload ${name}`, () => decide("reload", { plugin: name }, `Reload ${name}? Its plugin, configuration and topology are read again.`)))));
}

function showStatus(status) {
  document.title = "pawl " + status.instance;
  $("instance").textContent = status.instance;
  $("about").textContent = `${status.version} · pid ${status.pid} · up ${span(status.uptime_ms)}`;
  $("state").textContent = status.draining ? "stopping" : status.ready ? "ready" : "not ready";
  $("state").className = status.ready ? "good" : "bad";
  draw("reasons", status.reasons, $("reasons"), () => status.reasons.map((reason) => make("li", {}, reason)));
  showPipelines(status);
  showVersions(status);
}

// ---- dead letters ----

function countRow(name, c) {
  const redrive = c.state !== "open" || c.code === null ? "" : button("Redrive", `Redrive all of ${name} with ${c.code}`, () =>
    decide("redrive", { pipeline: name, code: c.code }, `Send ${count(c.count)} dead letters of ${name} with code ${c.code} to their topic again?`));
  return row(name, c.state, c.code, c.plugin, ["n", count(c.count)], ["t", clock(c.first)], ["t", clock(c.last)], redrive);
}

function letterRow(name, l) {
  const place = `${l.topic}[${l.partition}]@${l.offset}`;
  const redrive = l.state !== "open" ? "" : button("Redrive", `Redrive ${place}`, () =>
    decide("redrive", { pipeline: name, topic: l.topic, partition: l.partition, offset: l.offset }, `Send ${place} to its topic again?`));
  return row(["t", clock(l.at)], place, l.state + (l.redriven ? `, ${l.redriven} × before` : ""), l.code, ["n", l.attempts], ["n", size(l.value_bytes)],
    l.key ?? (l.key_hex ? "\\x" + l.key_hex.slice(0, 64) : "–"), l.reason, redrive);
}

let openLetters = null, lettersAt = 0;

async function lookAtLetters() {
  lettersAt = Date.now();
  try {
    const found = await call(`dlq?newest=1&limit=${LETTERS}&state=${$("dead-state").value}`);
    draw("counts", found, $("dead-counts").tBodies[0], () => found.pipelines.flatMap((pl) => pl.counts.map((c) => countRow(pl.name, c))));
    draw("letters", found, $("dead-letters").tBodies[0], () => found.pipelines.flatMap((pl) => pl.letters.map((l) => letterRow(pl.name, l))));
    const shown = found.pipelines.reduce((n, pl) => n + pl.letters.length, 0), all = found.pipelines.flatMap((pl) => pl.counts).reduce((n, c) => n + c.count, 0);
    $("dead-note").textContent = !all ? "None." : `${count(shown)} of ${count(all)} are shown below, the newest first.` +
      (may.write ? "" : " Keys and reasons, which may quote a message, need the token.");
  } catch (error) {
    $("dead-note").textContent = error.message;
  }
}

// ---- the loop ----

async function lookAtAccess() {
  try {
    may = await call("access");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    sessionStorage.removeItem("pawl-token");
    say(error.message, true);
    may = await call("access");
  }
  $("may").textContent = may.write ? "may decide" : may.token ? "read-only" : "read-only: no token is configured";
  $("token").hidden = !may.token || may.write;
  $("access").querySelector("label").hidden = $("access").querySelector("[type=submit]").hidden = $("token").hidden;
  $("forget").hidden = !may.write;
  $("reload").disabled = !may.write;
}

async function look() {
  try {
    if (!may.read) {
      $("state").textContent = "a token is needed to see it";
      return;
    }
    const [status, history] = await Promise.all([call("status"), call("history")]);
    showStatus(status);
    showHistory(history);
    const letters = status.pipelines.map((pl) => pl.dead_letters_open).join();
    if (letters !== openLetters || Date.now() - lettersAt > LETTERS_MS) {
      openLetters = letters;
      await lookAtLetters();
    }
  } catch (error) {
    $("state").textContent = error instanceof Refused ? error.message : "it does not answer";
    $("state").className = "bad";
    if (error instanceof Refused && error.status === 401) await lookAtAccess();
  }
}

async function turn() {
  if (!document.hidden) await look();
  setTimeout(turn, LOOK_MS);
}

async function changeToken(value) {
  if (value) sessionStorage.setItem("pawl-token", value);
  else sessionStorage.removeItem("pawl-token");
  $("token").value = "";
  $("said").hidden = true;
  await lookAtAccess();
  await look();
  await lookAtLetters();
}

$("access").addEventListener("submit", (event) => {
  event.preventDefault();
  changeToken($("token").value.trim());
});
$("forget").addEventListener("click", () => changeToken(""));
$("reload").addEventListener("click", () => decide("reload", {}, "Reload all pipelines? Topology, plugins and configurations are read again."));
$("dead-look").addEventListener("click", lookAtLetters);
$("dead-state").addEventListener("change", lookAtLetters);
lookAtAccess().catch(() => {}).then(turn);
