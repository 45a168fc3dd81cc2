const KEEP = 180; // seconds of history in the charts
const history_ = [];
const outcomes = [];
let worker = {};
let last = null;
let paused = false;

// -- numbers as people read them

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const number = (value) => (value >= 10000 ? compact.format(value) : new Intl.NumberFormat("en", { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value));
const seconds = (value) => value === null || value === undefined ? "–" : value === 0 ? "0 s" : value < 0.0995 ? `${(value * 1000).toFixed(value < 0.00995 ? 1 : 0)} ms` : value < 100 ? `${value.toFixed(value < 10 ? 2 : 1)} s` : `${Math.round(value / 60)} min`;
const dollars = (value) => (value === 0 ? "$0" : value < 0.01 ? `$${value.toFixed(5)}` : `$${value.toFixed(2)}`);
const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour12: false });
const counted = (n, one) => `${number(n)} ${one}${n === 1 ? "" : "s"}`;
const shown = () => Math.max(history_.length, 30); // seconds on the axis: they grow to KEEP
const span = (s) => s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
const total = (series, fits = () => true) => (series || []).reduce((sum, [labels, value]) => (fits(labels) ? sum + value : sum), 0);

// -- charts

function scaleOf(top) {
  if (!(top > 0)) return 1;
  const step = 10 ** Math.floor(Math.log10(top));
  return [1, 2, 2.5, 5, 10].map((m) => m * step).find((m) => m >= top);
}

// Lines (or areas stacked on one another) over the kept seconds, with a scale people can read.
function chart(place, series, { stacked = false, unit = (v) => number(v), label }) {
  const width = Math.max(place.clientWidth, 240), height = place.clientHeight > 60 ? place.clientHeight : 192;
  const left = 46, bottom = 20, w = width - left - 6, h = height - bottom - 8;
  const length = history_.length;
  const x = (i) => left + w * (1 - (length - 1 - i) / (shown() - 1));
  const base = new Array(length).fill(0);
  const lines = series.map(({ name, pick, color }) => {
    const values = history_.map((point, i) => {
      const value = pick(point);
      if (!stacked) return value;
      base[i] += value;
      return base[i];
    });
    return { name, color, values };
  });
  const top = scaleOf(Math.max(0, ...lines.flatMap((line) => line.values.filter((v) => v !== null))));
  const y = (value) => 8 + h * (1 - value / top);
  const parts = [0, 0.5, 1].map((share) => [
    el("svg:line", { class: "rule", x1: left, x2: width - 6, y1: y(top * share), y2: y(top * share) }),
    el("svg:text", { x: left - 6, y: y(top * share) + 4, "text-anchor": "end" }, unit(top * share)),
  ]).flat();
  for (const [share, text] of [[0, `${span(shown())} ago`], [1, "now"]]) parts.push(el("svg:text", { x: left + w * share, y: height - 4, "text-anchor": share ? "end" : "start" }, text));
  let floor = history_.map(() => y(0));
  for (const [order, line] of lines.entries()) {
    const points = line.values.map((value, i) => (value === null ? null : [x(i).toFixed(1), y(value).toFixed(1)]));
    const path = points.map((p, i) => (p ? `${i && points[i - 1] ? "L" : "M"}${p[0]},${p[1]}` : "")).join("");
    if (stacked && length > 1) {
      const back = points.map((p, i) => `L${p[0]},${floor[i]}`).reverse().join("");
      parts.push(el("svg:path", { d: `${path}${back}Z`, fill: line.color, "fill-opacity": order ? 0.95 : 0.3 }));
      floor = points.map((p) => p[1]);
    }
    if (path && !(stacked && order)) parts.push(el("svg:path", { d: path, fill: "none", stroke: line.color, "stroke-width": 2, "stroke-linejoin": "round" }));
  }
  fill(place, el("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, preserveAspectRatio: "none" }, parts));
}

function spark(pick, color = "var(--c1)") {
  const values = history_.map(pick).map((v) => v ?? 0);
  const top = Math.max(...values, 1e-9);
  const x = (i) => 200 - (values.length - 1 - i) * (200 / (shown() - 1));
  const points = values.map((v, i) => `${x(i).toFixed(1)},${(36 - 33 * (v / top)).toFixed(1)}`).join(" ");
  const area = `${x(0).toFixed(1)},37 ${points} 200,37`;
  return el("svg:svg", { class: "spark", viewBox: "0 0 200 37", preserveAspectRatio: "none", "aria-hidden": "true" },
    el("svg:polygon", { points: area, fill: color, "fill-opacity": 0.18 }), el("svg:polyline", { points, fill: "none", stroke: color, "stroke-width": 2, "vector-effect": "non-scaling-stroke" }));
}

function tile(title, value, unit, foot, state = "") {
  return el("div", { class: `panel tile ${state}` }, el("h2", {}, title), el("div", { class: "value" }, value, " ", el("small", {}, unit || "")), typeof foot === "string" ? el("div", { class: "foot", title: foot }, foot) : foot);
}

// -- the overview

function pointOf(now, before, gap) {
  const rate = (name, fits) => Math.max(0, total(now[name], fits) - total(before?.[name], fits)) / gap;
  const fresh = before !== null;
  return {
    answered: fresh ? rate("records", (l) => l[1] === "answered" || l[1] === "replayed") : 0,
    dead: fresh ? rate("records", (l) => l[1] === "dead_letter") : 0,
    failed: fresh ? rate("records", (l) => l[1] === "failed") : 0,
    tokens: fresh ? rate("tokens") : 0,
    cost: fresh ? rate("cost_usd") : 0,
    waited: fresh ? rate("rate_limit_wait_s") : 0,
    in_flight: now.in_flight, pending: now.pending, oldest: now.oldest_uncommitted_s,
    lag: now.partitions.reduce((sum, p) => sum + (p.lag ?? 0), 0),
    p50: now.latency_s.p50, p95: now.latency_s.p95, p99: now.latency_s.p99,
  };
}

const mean = (pick, count = 5) => { const part = history_.slice(-count); return part.length ? part.reduce((sum, p) => sum + pick(p), 0) / part.length : 0; };

function showNow(now) {
  const gap = last ? Math.max(now.uptime_s - last.uptime_s, 0.5) : 1;
  if (last && now.uptime_s < last.uptime_s) { last = null; history_.length = 0; }
  const point = pointOf(now, last, gap);
  history_.push(point);
  if (history_.length > KEEP) history_.shift();
  last = now;
  const status = $("#status");
  const state = now.draining ? ["warn", "stopping"] : !now.ready ? ["bad", "not ready"] : now.degraded.length ? ["warn", "degraded"] : ["good", "ready"];
  status.className = `tag ${state[0]}`;
  status.textContent = state[1];
  fill($("#where"), `${worker.app_id} on ${worker.host} · ${worker.version} · up ${span(now.uptime_s)} · this worker of ${Math.max(now.workers.length, 1)}`);
  const troubles = [...now.degraded, ...now.open_breakers.filter((name) => !now.degraded.includes(name)).map((name) => `breaker open: ${name}`), ...Object.entries(now.checks).filter(([, c]) => !c[0]).map(([name, c]) => `${name}: ${c[1]}`)];
  $("#alert").classList.toggle("hidden", !troubles.length);
  fill($("#alert"), el("strong", { class: "warn" }, "Look at this: "), troubles.join(" · "));
  const deadLetters = total(now.dead_letters);
  $("#dead-count").classList.toggle("hidden", !deadLetters);
  $("#dead-count").textContent = number(deadLetters);
  if ($("#overview").classList.contains("hidden") || document.hidden) return;
  showTiles(now, point);
  showCharts();
  showTables(now);
}

function showTiles(now, point) {
  const hits = total(now.cache, (l) => l[1] === "hit"), lookups = total(now.cache);
  const cachedShare = lookups ? hits / lookups : null;
  const open = now.open_breakers;
  const room = worker.max_in_flight || 1;
  const spent = total(now.cost_usd), tokens = total(now.tokens);
  const perHour = mean((p) => p.cost, 60) * 3600;
  fill($("#tiles"),
    tile("Answered", number(mean((p) => p.answered)), "per s", spark((p) => p.answered)),
    tile("In flight", `${number(now.in_flight)}`, `of ${number(room)} · ${number(now.pending)} waiting`, el("div", { class: "meter", role: "img", "aria-label": `${now.in_flight} of ${room} in flight, ${now.pending} waiting` }, bar(now.in_flight / room * 100, ""), bar(0, "wait"))),
    tile("95 of 100 within", seconds(point.p95), "", spark((p) => p.p95, "var(--c3)")),
    tile("Lag", number(point.lag), "records", spark((p) => p.lag, "var(--c2)"), point.lag > 10000 ? "warn" : ""),
    tile("Oldest uncommitted", seconds(now.oldest_uncommitted_s), "", `ledger: ${number(now.ledger.ids)} ids, ${compact.format(now.ledger.bytes)}B`, now.oldest_uncommitted_s > 30 ? "bad" : now.oldest_uncommitted_s > 10 ? "warn" : ""),
    tile("Dead letters", number(total(now.dead_letters)), "since start", topKinds(now.dead_letters), mean((p) => p.dead, 30) > 0 ? "bad" : ""),
    tile("Cost", spent ? dollars(spent) : tokens ? "–" : "$0", spent ? `${dollars(perHour)} an hour` : tokens ? "no price known" : "", `${compact.format(tokens)} tokens, ${number(mean((p) => p.tokens))} per s`),
    tile("Cache hits", cachedShare === null ? "–" : `${Math.round(cachedShare * 100)} %`, "", lookups ? `${number(hits)} of ${number(lookups)} look-ups` : "no look-ups counted"),
    tile("Waiting for limits", seconds(mean((p) => p.waited, 30)), "per s", total(now.rate_limit_wait_s) ? `${seconds(total(now.rate_limit_wait_s))} since start` : "never waited"),
    tile("Breakers", open.length ? `${open.length} open` : "closed", "", open.length ? open.join(", ") : `${counted(total(now.calls), "call")} since start`, open.length ? "bad" : ""),
  );
}

// A style attribute is against the content policy; a property of a node is not.
function bar(share, name) { const node = el("i", { class: name }); node.style.width = `${Math.min(100, Math.max(0, share))}%`; return node; }

const topKinds = (series) => [...(series || [])].sort((a, b) => b[1] - a[1]).slice(0, 2).map(([l, n]) => `${number(n)} ${l[0]}`).join(", ") || "none";

function showCharts() {
  chart($("#flow"), [
    { name: "answered", pick: (p) => p.answered, color: "var(--c1)" },
    { name: "dead letters", pick: (p) => p.dead, color: "var(--c5)" },
    { name: "failed over HTTP", pick: (p) => p.failed, color: "var(--c2)" },
  ], { stacked: true, label: `Records per second over the last minutes; now ${number(mean((p) => p.answered))} answered` });
  chart($("#latency"), [
    { name: "99 of 100", pick: (p) => p.p99, color: "var(--c5)" },
    { name: "95 of 100", pick: (p) => p.p95, color: "var(--c2)" },
    { name: "half", pick: (p) => p.p50, color: "var(--c1)" },
  ], { unit: seconds, label: `Seconds to an answer; half within ${seconds(last.latency_s.p50)}, 95 of 100 within ${seconds(last.latency_s.p95)}` });
}

function table(head, rows, empty) {
  if (!rows.length) return el("p", { class: "soft" }, empty);
  return el("table", {}, el("thead", {}, el("tr", {}, head.map((name, i) => el("th", { scope: "col", class: i ? "n" : "" }, name)))), el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, i) => el(i ? "td" : "th", i ? { class: "n" } : { scope: "row" }, cell))))));
}

function showTables(now) {
  const most = Math.max(10, ...now.partitions.map((p) => p.lag ?? 0));
  fill($("#lag"), now.partitions.length ? el("div", { class: "lag" }, now.partitions.map((p) => {
    const filled = el("div", { class: `fill ${p.lag > 1000 ? "high" : ""}` });
    filled.style.width = `${(100 * (p.lag ?? 0)) / most}%`;
    return [el("span", { class: "soft" }, `p${p.partition}`), el("div", { class: "track" }, filled), el("span", {}, p.lag === null ? "?" : number(p.lag), p.taken ? el("span", { class: "soft" }, ` (${number(p.taken)} here)`) : null)];
  })) : el("p", { class: "soft" }, "No partitions here."));
  const models = new Map();
  for (const [[provider, model, direction], value] of now.tokens) {
    const name = `${provider}/${model}`;
    const row = models.get(name) || { input: 0, output: 0, cost: 0 };
    row[direction] += value;
    models.set(name, row);
  }
  for (const [[provider, model], value] of now.cost_usd) { const row = models.get(`${provider}/${model}`); if (row) row.cost += value; }
  fill($("#models"), table(["Model", "Tokens in", "out", "Cost"], [...models].map(([name, r]) => [name, number(r.input), number(r.output), r.cost ? dollars(r.cost) : "–"]), "No model has answered yet."));
  fill($("#workers"), table(["Worker", "Partitions"], now.workers.map((w) => [w.own ? el("span", {}, w.url, " ", el("span", { class: "tag" }, "this one")) : el("a", { href: w.url }, w.url), w.partitions.length ? w.partitions.join(" ") : "none"]), "The group is not formed yet."));
  fill($("#checks"), table(["Check", ""], Object.entries(now.checks).map(([name, [ok, detail]]) => [el("span", {}, el("span", { class: `tag ${ok ? "good" : "bad"}` }, ok ? "ok" : "no"), ` ${name}`), el("span", { class: "soft" }, detail)]), ""));
}

// -- answers

function showAnswers() {
  if (paused || $("#answers").classList.contains("hidden")) return;
  const wanted = $("#answers-q").value.trim().toLowerCase();
  const found = outcomes.filter((o) => !wanted || JSON.stringify(o).toLowerCase().includes(wanted)).slice(-100).reverse();
  fill($("#answers-list"), found.length ? found.map((o) => el("article", { class: "row" },
    el("time", { datetime: new Date(o.at * 1000).toISOString() }, clock(o.at)),
    el("span", { class: `tag ${o.status === "ok" ? "good" : "bad"}` }, o.status === "ok" ? o.type : o.kind),
    el("span", { class: "id" }, o.id),
    el("span", { class: "meta" }, o.status === "ok" ? `${o.cached ? "cached · " : ""}${seconds(o.duration_s)} · ${number(o.tokens)} tok${o.cost_usd && Number(o.cost_usd) ? ` · ${dollars(Number(o.cost_usd))}` : ""}` : o.type || ""),
    el("span", { class: "text" }, o.text))) : el("p", { class: "soft" }, wanted ? "Nothing fits." : "No record has ended here yet: send one from the playground."));
}

// -- dead letters

const picked = new Map();
async function loadDead() {
  const query = new URLSearchParams({ limit: "100" });
  if ($("#dead-q").value.trim()) query.set("q", $("#dead-q").value.trim());
  if ($("#dead-kind").value) query.set("kind", $("#dead-kind").value);
  try {
    const body = await (await ask(`/v1/dead-letters?${query}`)).json();
    picked.clear();
    $("#dead-replay").disabled = true;
    const kinds = new Set([...$("#dead-kind").options].map((o) => o.value));
    for (const kind of new Set(body.dead_letters.map((d) => d.kind))) if (kind && !kinds.has(kind)) $("#dead-kind").append(el("option", { value: kind }, kind));
    fill($("#dead-list"), body.dead_letters.length ? body.dead_letters.map(deadRow) : el("p", { class: "soft" }, "No dead letter fits."));
  } catch (error) { $("#dead-note").textContent = error.message; }
}

function deadRow(d) {
  const id = `${d.partition}/${d.offset}`;
  const box = el("input", { type: "checkbox", "aria-label": `Select ${d.id}`, onchange: () => {
    if (box.checked) picked.set(id, { partition: d.partition, offset: d.offset }); else picked.delete(id);
    $("#dead-replay").disabled = !picked.size;
  } });
  return el("article", { class: "row pick" }, box, el("time", {}, clock(d.at)), el("span", {}, el("span", { class: "tag bad" }, d.kind || "?")), el("span", { class: "id" }, d.id || ""),
    el("span", { class: "meta" }, `${d.type || "?"} · ${counted(d.attempts, "attempt")}${d.replays ? ` · replayed ${d.replays}×` : ""}`), el("span", { class: "text" }, d.message || ""),
    el("details", {}, el("summary", {}, `record at ${id}`), el("pre", {}, d.record ?? "(not kept)")));
}

async function replayDead() {
  $("#dead-replay").disabled = true;
  try {
    const body = await (await ask("/v1/dead-letters/replay", { method: "POST", json: { places: [...picked.values()] } })).json();
    const counts = {};
    for (const { result } of body.results) counts[result] = (counts[result] || 0) + 1;
    $("#dead-note").textContent = Object.entries(counts).map(([name, n]) => `${n} ${name}`).join(", ");
  } catch (error) { $("#dead-note").textContent = error.message; }
  await loadDead();
}

// -- prompts

async function loadPrompts() {
  try {
    const body = await (await ask("/v1/prompts")).json();
    fill($("#prompt-list"), el("h2", {}, "Prompts"), el("div", { class: "list" }, body.prompts.map((p) => el("button", { type: "button", "data-name": p.name, onclick: () => loadPrompt(p.name) }, el("span", {}, p.name), el("span", { class: "soft" }, `v${p.labels.production ?? "–"}`)))));
  } catch (error) { fill($("#prompt-list"), el("p", { class: "bad" }, error.message)); }
}

function lineDiff(before, after) {
  const a = before.split("\n"), b = after.split("\n");
  if (a.length * b.length > 400000) return [el("span", {}, after)];
  const table_ = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) table_[i][j] = a[i] === b[j] ? table_[i + 1][j + 1] + 1 : Math.max(table_[i + 1][j], table_[i][j + 1]);
  const out = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { out.push(el("span", {}, a[i] || " ")); i++; j++; }
    else if (j < b.length && (i >= a.length || table_[i][j + 1] >= table_[i + 1][j])) out.push(el("ins", {}, `+ ${b[j++]}`));
    else out.push(el("del", {}, `- ${a[i++]}`));
  }
  return out;
}

async function loadPrompt(name, chosen = null) {
  for (const button of document.querySelectorAll("#prompt-list button")) button.setAttribute("aria-current", button.dataset.name === name);
  const path = `/v1/prompts/${encodeURIComponent(name)}`;
  try {
    const prompt = await (await ask(path)).json();
    const stats = await ask(`${path}/stats`).then((r) => r.json()).catch(() => ({ variants: [] }));
    showPrompt(prompt, stats, chosen);
  } catch (error) { fill($("#prompt-view"), el("p", { class: "bad", role: "alert" }, error.message)); }
}

function showPrompt(prompt, stats, chosen) {
  const versions = [...prompt.versions].sort((a, b) => b.version - a.version);
  const current = versions.find((v) => v.version === (chosen ?? prompt.labels.production)) || versions[0];
  const previous = versions.find((v) => v.version === current.version - 1);
  const labelsOf = (version) => Object.entries(prompt.labels).filter(([, v]) => v === version).map(([label]) => el("span", { class: "tag" }, label));
  const note = el("p", { class: "soft", role: "status" });
  const labelInput = el("input", { value: "production", "aria-label": "Label", size: 12 });
  const move = el("button", { type: "button", class: "primary", onclick: async () => {
    try {
      await ask(`/v1/prompts/${encodeURIComponent(prompt.name)}/labels/${encodeURIComponent(labelInput.value.trim())}`, { method: "PUT", json: { version: current.version } });
      await loadPrompt(prompt.name, current.version);
      await loadPrompts();
    } catch (error) { note.textContent = error.message; }
  } }, "Move it here");
  const shares = prompt.split ? el("div", { class: "shares", role: "img", "aria-label": Object.entries(prompt.split).map(([l, s]) => `${l} ${s} percent`).join(", ") }, Object.entries(prompt.split).map(([label, share], i) => { const node = el("span", { class: `k${[1, 2, 3, 5][i % 4]}` }, `${label} ${share} %`); node.style.width = `${share}%`; return node; })) : el("p", { class: "soft" }, "Everything goes to production.");
  fill($("#prompt-view"),
    el("h2", {}, `${prompt.name}, version ${current.version} `, labelsOf(current.version)),
    el("div", { class: "versions" }, versions.map((v) => el("button", { type: "button", "aria-pressed": v.version === current.version, onclick: () => showPrompt(prompt, stats, v.version) }, `v${v.version} `, labelsOf(v.version)))),
    el("p", { class: "soft" }, [current.author, current.message, current.created_at && new Date(current.created_at).toLocaleString()].filter(Boolean).join(" · ")),
    el("div", { class: "bar" }, el("label", {}, "Label ", labelInput), move), note,
    el("h3", {}, previous ? `Against version ${previous.version}` : "Text"),
    el("pre", { class: "diff", tabindex: 0, "aria-label": "Text of the prompt" }, previous ? lineDiff(previous.body, current.body) : current.body),
    el("h3", {}, "Split"), shares,
    el("h3", {}, "Results by variant"),
    table(["Variant", "Calls", "Errors", "Mean time", "Cost"], (stats.variants || []).map((v) => [`v${v.version}${v.label ? ` @${v.label}` : ""}`, number(v.calls), number(v.errors), seconds(v.mean_duration_s), dollars(Number(v.cost_usd))]), "No record has used it yet."));
}

// -- playground

const EXAMPLES = {
  summarize: { type: "summarize", text: "Kafka keeps records in a log. Consumers read it at their own pace, and may read it again.", max_words: 12 },
  chat: { type: "chat", messages: [{ role: "user", content: "Say hello in one short sentence." }] },
  classify: { type: "classify", text: "My parcel has not arrived.", labels: ["delivery", "refund", "praise"] },
  extract: { type: "extract", text: "Name: Ada Lovelace, born 1815.", schema: { type: "object", properties: { name: { type: "string" }, born: { type: "integer" } }, required: ["name", "born"], additionalProperties: false } },
  translate: { type: "translate", text: "Good morning", target_language: "German" },
  generate: { type: "generate", prompt: "answer@production", variables: { question: "What is a topic?" } },
  embed: { type: "embed", input: ["one text", "another text"] },
};

function setState(kind, text) { const tag = $("#play-state"); tag.className = `tag ${kind}`; tag.textContent = text; }
const asText = (output) => (typeof output === "string" ? output : JSON.stringify(output, null, 2));

function showResponse(response, started) {
  if (response.status === "ok") {
    setState("good", "answered");
    $("#play-answer").textContent = asText(response.output);
    const prompt = response.prompt ? `${response.prompt.name}:${response.prompt.version}` : "none";
    const facts = { Provider: `${response.provider}/${response.model}`, Prompt: prompt, Tokens: `${response.usage.input_tokens} in, ${response.usage.output_tokens} out`, Cost: response.cost_usd === null ? "unknown" : dollars(Number(response.cost_usd)), "Active time": seconds(response.duration_s), "Round trip": seconds((performance.now() - started) / 1000), Attempts: String(response.attempts), Cached: response.cached ? "yes" : "no", Id: response.id };
    fill($("#play-facts"), Object.entries(facts).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  } else {
    setState(response.status === "dead" ? "bad" : "warn", response.status === "dead" ? `dead letter: ${response.kind}` : response.status);
    $("#play-answer").textContent = JSON.stringify(response, null, 2);
  }
}

async function play(path, change) {
  const started = performance.now();
  fill($("#play-facts"));
  $("#play-answer").textContent = "";
  setState("", "asking…");
  try {
    const record = change(JSON.parse($("#play-body").value));
    const response = await ask(path, { method: "POST", json: record });
    if (!(response.headers.get("Content-Type") || "").startsWith("text/event-stream")) return showResponse(await response.json(), started);
    for await (const { event, data } of eventsOf(response)) {
      const body = JSON.parse(data);
      if (event === "piece") $("#play-answer").textContent += body.text;
      else if (event === "response") showResponse(body, started);
      else if (event === "error") throw new Refused(0, body.error);
    }
  } catch (error) {
    setState("bad", error.code || "error");
    $("#play-answer").textContent = error.message;
  }
}

// -- the stream, and the page

let following = 0;
async function follow() {
  const mine = ++following;
  while (mine === following) {
    try {
      const response = await ask("/v1/live");
      for await (const { event, data } of eventsOf(response)) {
        if (mine !== following) return;
        const body = JSON.parse(data);
        if (event === "worker") { worker = body; outcomes.length = 0; }
        else if (event === "now") showNow(body);
        else if (event === "outcomes") { outcomes.push(...body); outcomes.splice(0, outcomes.length - 1000); showAnswers(); }
      }
    } catch (error) { if (error.status === 401) return; }
    $("#status").className = "tag bad";
    $("#status").textContent = "no connection";
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

const tabs = () => [...document.querySelectorAll('[role="tab"]')];
const loaders = { dead: loadDead, prompts: loadPrompts, answers: showAnswers, overview: () => last && (showTiles(last, history_.at(-1)), showCharts(), showTables(last)) };
function open(name) {
  for (const tab of tabs()) {
    const here = tab.getAttribute("aria-controls") === name;
    tab.setAttribute("aria-selected", here);
    tab.tabIndex = here ? 0 : -1;
    $(`#${tab.getAttribute("aria-controls")}`).classList.toggle("hidden", !here);
  }
  if (location.hash !== `#${name}`) history.replaceState(null, "", `#${name}`);
  loaders[name]?.();
}

addEventListener("DOMContentLoaded", () => {
  for (const tab of tabs()) tab.addEventListener("click", () => open(tab.getAttribute("aria-controls")));
  $("nav").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const all = tabs(), next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
    next.focus();
    open(next.getAttribute("aria-controls"));
  });
  const legend = (id, names) => fill($(id), names.map(([k, name]) => el("li", { class: k }, name)));
  legend("#flow-legend", [["k1", "answered"], ["k5", "dead letters"], ["k2", "failed over HTTP"]]);
  legend("#latency-legend", [["k1", "half"], ["k2", "95 of 100"], ["k5", "99 of 100"]]);
  $("#answers-q").addEventListener("input", showAnswers);
  $("#answers-pause").addEventListener("click", (event) => { paused = !paused; event.target.setAttribute("aria-pressed", paused); event.target.textContent = paused ? "Go on" : "Pause"; showAnswers(); });
  let typing = 0;
  $("#dead-q").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(loadDead, 300); });
  $("#dead-kind").addEventListener("change", loadDead);
  $("#dead-load").addEventListener("click", loadDead);
  $("#dead-replay").addEventListener("click", replayDead);
  const example = () => { $("#play-body").value = JSON.stringify(EXAMPLES[$("#play-type").value], null, 2); };
  fill($("#play-type"), Object.keys(EXAMPLES).map((name) => el("option", { value: name }, name)));
  $("#play-type").addEventListener("change", example);
  example();
  $("#play-form").addEventListener("submit", (event) => { event.preventDefault(); play("/v1/generate", (r) => ({ ...r, stream: true })); });
  $("#play-topic").addEventListener("click", () => play("/v1/requests?wait=60", (r) => r));
  $("#play-body").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); $("#play-form").requestSubmit(); } });
  const wanted = location.hash.slice(1);
  open(document.getElementById(`tab-${wanted}`) ? wanted : "overview");
  follow();
});
addEventListener("keychange", () => { follow(); open(location.hash.slice(1) || "overview"); });
addEventListener("themechange", () => last && showCharts());
addEventListener("resize", () => last && !$("#overview").classList.contains("hidden") && showCharts());
