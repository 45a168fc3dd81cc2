// What the workers of the group said, each second, and their sum.

const KEEP = 180; // seconds of history in the charts
const lines = new Map(); // points by address; "" is the sum
const words = new Map(); // each worker's numbers a moment ago
let told = []; // the group as last told: {url, members, partitions, now}
let chosen = ""; // the address that is looked at; "" for all

const total = (series, fits = () => true) => (series || []).reduce((sum, [labels, value]) => (fits(labels) ? sum + value : sum), 0);
const line = () => lines.get(chosen) || [];
const mean = (pick, count = 5) => { const part = line().slice(-count); return part.length ? part.reduce((sum, p) => sum + pick(p), 0) / part.length : 0; };
const most = (values) => { const known = values.filter((v) => v !== null && v !== undefined); return known.length ? Math.max(...known) : null; };
const place = (url) => url.replace(/^https?:\/\//, "").replace(/\/$/, "");

// Of requests and flows. Unknown, and not 0, while the group gives no partitions, the tables are read, the worker stops, or an end is not known yet.
function lagOf(now) {
  if (["assigned", "recovered", "draining"].some((name) => now.checks?.[name]?.[0] === false) || now.flows_lag === null || now.partitions.some((p) => p.lag === null)) return null;
  return now.partitions.reduce((sum, p) => sum + p.lag, now.flows_lag ?? 0); // an earlier version does not tell
}

function pointOf(now, before) {
  const gap = before ? now.uptime_s - before.uptime_s : 0;
  const rate = (name, fits) => (gap > 0 ? Math.max(0, total(now[name], fits) - total(before[name], fits)) / gap : 0);
  return {
    answered: rate("records", (l) => l[1] === "answered" || l[1] === "replayed"),
    dead: rate("records", (l) => l[1] === "dead_letter"),
    failed: rate("records", (l) => l[1] === "failed"),
    tokens: rate("tokens"), cost: rate("cost_usd"), waited: total(now.rate_limit_waiting),
    lag: lagOf(now),
    p50: now.latency_s.p50, p95: now.latency_s.p95, p99: now.latency_s.p99,
  };
}

function sumOf(points) {
  const sum = (name) => points.reduce((s, p) => s + p[name], 0);
  const worst = (name) => most(points.map((p) => p[name]));
  return { ...Object.fromEntries(["answered", "dead", "failed", "tokens", "cost", "waited"].map((name) => [name, sum(name)])), lag: points.some((p) => p.lag === null) ? null : sum("lag"), p50: worst("p50"), p95: worst("p95"), p99: worst("p99") };
}

function push(url, point) {
  if (!lines.has(url)) lines.set(url, []);
  const points = lines.get(url);
  points.push(point);
  if (points.length > KEEP) points.shift();
  return point;
}

// What the workers remember of the time before the page was opened; minutes anew each minute.
const hours = new Map();
let isHour = false;
const points = () => (isHour ? hours.get(chosen) || [] : line());
const byTime = (all) => { const most = Math.max(0, ...all.map((p) => p.length)); return Array.from({ length: most }, (_, i) => sumOf(all.map((p) => p[p.length - most + i]).filter(Boolean))); };
async function remember() {
  const { workers } = await (await ask("/v1/history")).json();
  for (const [kept, name] of [[lines, "seconds"], [hours, "minutes"]]) {
    if (kept === lines && lines.size) continue;
    for (const w of workers) kept.set(w.url, w[name]);
    kept.set("", byTime(workers.map((w) => w[name])));
  }
}

// Keep what the workers say; a word that is the one of a moment ago moves nothing.
function take(workers) {
  told = workers;
  const points = told.filter((w) => w.now).map(({ url, now }) => {
    const before = words.get(url);
    if (before && now.uptime_s < before.uptime_s) lines.delete(url); // it was started again
    if (!before && lines.get(url)?.length) { words.set(url, now); return push(url, { ...lines.get(url).at(-1), lag: lagOf(now) }); } // remembered
    const isSame = before && before.uptime_s === now.uptime_s && lines.has(url);
    words.set(url, now);
    return push(url, isSame ? lines.get(url).at(-1) : pointOf(now, before));
  });
  push("", sumOf(points));
  for (const url of [...words.keys()]) if (!told.some((w) => w.url === url)) { words.delete(url); lines.delete(url); }
  if (chosen && !words.has(chosen)) chosen = "";
}

const looked = () => told.filter((w) => !chosen || w.url === chosen);

// One worker's numbers, or those of all that answer, as if they were one.
function merged() {
  const nows = looked().map((w) => w.now).filter(Boolean);
  const sum = (pick) => nows.reduce((s, now) => s + pick(now), 0);
  const all = (name) => nows.flatMap((now) => now[name] || []);
  const series = ["records", "dead_letters", "calls", "tokens", "cost_usd", "key_tokens", "key_cost_usd", "cache", "rate_limit_wait_s", "rate_limit_waiting", "retries", "breakers"];
  return {
    in_flight: sum((n) => n.in_flight), pending: sum((n) => n.pending), room: sum((n) => n.max_in_flight),
    oldest: most(nows.map((n) => n.oldest_uncommitted_s)) ?? 0,
    ids: sum((n) => n.ledger.ids), bytes: sum((n) => n.ledger.bytes),
    open: [...new Set(all("open_breakers"))],
    agents: all("agents"),
    ...Object.fromEntries(series.map((name) => [name, all(name)])),
  };
}
