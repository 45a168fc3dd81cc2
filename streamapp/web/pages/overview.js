// The overview: what an operator looks at first.

const stateOf = (now) => !now ? ["bad", "no answer"] : now.draining ? ["warn", "stopping"] : !now.ready ? ["bad", "not ready"] : now.degraded.length ? ["warn", "degraded"] : ["good", "ready"];
// The two most frequent ones by name, the rest as a number: together they are the total.
const topKinds = (series) => {
  const kinds = Object.entries((series || []).reduce((sums, [[kind], n]) => ({ ...sums, [kind]: (sums[kind] || 0) + n }), {})).sort((a, b) => b[1] - a[1]);
  const named = kinds.slice(0, 2).map(([kind, n]) => `${number(n)} ${kind}`), rest = kinds.slice(2).reduce((sum, [, n]) => sum + n, 0);
  return [...named, ...(rest ? [`${number(rest)} more`] : [])].join(", ");
};

// Each follows from the one before: without partitions nothing is recovered, and nothing taken.
const STAGES = ["assigned", "recovered", "taking"];

// What is wrong with one worker, as [name, text]; a rebalance is one thing, whatever fails by it.
function troublesOf(now) {
  if (!now) return [["no answer", "no answer"]];
  const isRebalance = (text) => text.startsWith("rebalance: ");
  const failing = now.degraded.some(isRebalance) ? [] : Object.entries(now.checks).filter(([, c]) => !c[0]);
  const first = STAGES.find((stage) => failing.some(([name]) => name === stage));
  const checks = failing.filter(([name]) => name === first || !STAGES.includes(name)).map(([name, c]) => [name, `${name}${c[1] ? ` (${c[1]})` : ""}`]);
  const impaired = now.degraded.map((text) => [isRebalance(text) ? "rebalance" : text, now.open_breakers.includes(text) ? `breaker of ${text} is open` : text]);
  return [...checks, ...impaired];
}

// One line for each thing that is wrong, however many workers have it.
function troubles() {
  const found = new Map();
  for (const { url, now } of told) for (const [name, text] of troublesOf(now)) found.set(name, [...(found.get(name) || []), { url, text }]);
  const who = (all) => all.length === told.length ? `all ${all.length} workers` : all.length > 2 ? `${all.length} of ${told.length} workers` : all.map(({ url }) => place(url)).join(", ");
  return [...found.values()].map((all) => (told.length > 1 ? `${who(all)}: ` : "") + all[0].text);
}

function showHead() {
  const own = told[0].now, states = told.map((w) => stateOf(w.now));
  const worst = states.find(([kind]) => kind === "bad") || states.find(([kind]) => kind === "warn") || states[0];
  const alike = states.filter(([, text]) => text === worst[1]).length;
  const [kind, text] = [worst[0], told.length === 1 ? worst[1] : alike === told.length ? `all ${worst[1]}` : `${alike} of ${told.length} ${worst[1]}`];
  if ($("#status").textContent !== text) $("#status").textContent = text;
  $("#status").className = `tag ${kind}`;
  fill($("#where"), `${own.app_id} · ${own.version} · ${counted(told.reduce((sum, w) => sum + (w.members || 1), 0), "worker")} · up ${span(own.uptime_s)}`);
  const found = troubles();
  $("#alert").classList.toggle("hidden", !found.length);
  if ($("#alert").dataset.text !== found.join()) { $("#alert").dataset.text = found.join(); fill($("#alert"), el("strong", { class: "warn" }, "Look at this: "), found.join(" · ")); }
  const dead = told.reduce((sum, w) => sum + total(w.now?.dead_letters), 0);
  $("#dead-count").classList.toggle("hidden", !dead);
  $("#dead-count").textContent = number(dead);
  const byFlow = new Map();
  for (const [[, flow], n] of told.flatMap((w) => w.now?.dead_letters || [])) if (n) byFlow.set(flow, (byFlow.get(flow) || 0) + n);
  $("#dead-since").textContent = `${dead ? `${number(dead)}, sent again or not,` : "none"} since the workers' start${byFlow.size > 1 ? `: ${[...byFlow].map(([flow, n]) => `${flow} ${number(n)}`).join(", ")}` : ""}`;
  const who = $("#who"), wanted = ["", ...told.map((w) => w.url)];
  $("#who-label").classList.toggle("hidden", told.length < 2);
  if ([...who.options].map((o) => o.value).join() !== wanted.join()) fill(who, wanted.map((url) => el("option", { value: url }, url ? place(url) : `all ${told.length} workers`)));
  who.value = chosen;
}

function showOverview() {
  if (!told.length) return;
  const now = merged();
  showTiles(now, line().at(-1));
  showCharts();
  showLag();
  showModels(now);
  showAgents(now);
  showKeys(now);
  showWorkers();
  showChecks();
}

// Whether a model was called whose price is not known.
function unpricedTokens(now) {
  const priced = new Set(now.cost_usd.map(([[provider, model]]) => `${provider}/${model}`));
  return now.tokens.some(([[provider, model], n]) => n && !priced.has(`${provider}/${model}`));
}

// Calls that found an answer, and all that looked: the first tier is asked by each, the next ones where it does not know.
function lookedUp(cache) {
  const tiers = (cache || []).map(([[tier]]) => total(cache, (l) => l[0] === tier));
  return [total(cache, (l) => l[1] === "hit"), Math.max(0, ...tiers)];
}

function showTiles(now, point) {
  const [hits, lookups] = lookedUp(now.cache);
  const room = now.room || 1, busy = `${number(now.in_flight)} of ${number(room)} in flight, ${number(now.pending)} waiting`;
  const spent = total(now.cost_usd), tokens = total(now.tokens), waited = total(now.rate_limit_wait_s) + total(now.rate_limit_waiting);
  const halfOpen = now.breakers.filter(([, state]) => state === 1).length;
  const unpriced = unpricedTokens(now);
  const among = !chosen && told.length > 1 ? "Active p95 of the slowest worker" : "Active p95: 95 of 100 within";
  fill($("#tiles"),
    tile("Answered", number(mean((p) => p.answered)), "per s", spark(line(), (p) => p.answered)),
    tile(`In flight, ${number(now.pending)} waiting`, number(now.in_flight), `of ${number(room)}`, meter(now.in_flight / room, busy)),
    tile(among, seconds(point.p95), "", spark(line(), (p) => p.p95, "var(--c3)")),
    tile("Lag", point.lag === null ? "unknown" : number(point.lag), point.lag === null ? "" : "records", point.lag === null ? "no partitions assigned yet" : spark(line(), (p) => p.lag, "var(--c2)"), point.lag > 10000 ? "warn" : ""),
    tile("Oldest uncommitted", seconds(now.oldest), "", `ledger: ${number(now.ids)} ids, ${compact.format(now.bytes)}B`, now.oldest > 30 ? "bad" : now.oldest > 10 ? "warn" : ""),
    tile("Dead letters", number(total(now.dead_letters)), "since start", topKinds(now.dead_letters) || "older ones, if any, are in the list", mean((p) => p.dead, 30) > 0 ? "bad" : ""),
    tile("Cost", spent || !unpriced ? dollars(spent) : "unknown", spent ? `${dollars(mean((p) => p.cost, 60) * 3600)} / hour${unpriced ? ", some unknown" : ""}` : unpriced ? "no price known" : "", `${compact.format(tokens)} tokens, ${number(mean((p) => p.tokens))} per s`),
    tile("Cache hits", lookups ? `${Math.round((100 * hits) / lookups)} %` : "–", lookups ? `of ${number(lookups)}` : "nothing looked up", lookups ? meter(hits / lookups, `${number(hits)} of ${number(lookups)} calls found an answer`, "hit") : ""),
    tile("Held by limits", number(mean((p) => p.waited, 10)), "calls", waited ? spark(line(), (p) => p.waited, "var(--c2)") : "no call has waited"),
    tile("Breakers", now.open.length ? `${now.open.length} open` : halfOpen ? `${halfOpen} half open` : "closed", "", now.open.length ? now.open.join(", ") : `${counted(total(now.calls), "call")} since start`, now.open.length ? "bad" : halfOpen ? "warn" : ""),
  );
}

function showCharts() {
  const shown = points(), step = isHour ? 60 : 1;
  chart($("#flow"), shown, [
    { name: "answered", pick: (p) => p.answered, color: "var(--c1)" },
    { name: "dead letters", pick: (p) => p.dead, color: "var(--c5)" },
    { name: "failed over HTTP", pick: (p) => p.failed, color: "var(--c2)" },
  ], { stacked: true, step, label: `Records per second over the last minutes; now ${number(mean((p) => p.answered))} answered` });
  const last = line().at(-1);
  chart($("#latency"), shown, [
    { name: "p99", pick: (p) => p.p99, color: "var(--c5)" },
    { name: "p95", pick: (p) => p.p95, color: "var(--c2)" },
    { name: "p50", pick: (p) => p.p50, color: "var(--c1)" },
  ], { unit: seconds, step, label: `Active seconds of an answer, waits not counted; p50 ${seconds(last.p50)}, p95 ${seconds(last.p95)}, p99 ${seconds(last.p99)}` });
}

function showLag() {
  const rows = looked().flatMap(({ url, partitions, now }) => {
    const known = new Map((now?.partitions || []).map((p) => [p.partition, p]));
    return [...new Set([...partitions, ...known.keys()])].map((id) => ({ url, id, lag: null, taken: 0, ...known.get(id) }));
  }).sort((a, b) => a.id - b.id);
  const top = Math.max(10, ...rows.map((p) => p.lag ?? 0));
  const bars = (some) => el("div", { class: `lag ${some.length > 12 ? "two" : ""}` }, some.map((p) => {
    const filled = el("div", { class: `fill ${p.lag > 1000 ? "high" : ""}` });
    filled.style.width = `${(100 * (p.lag ?? 0)) / top}%`;
    return el("div", { class: "part", title: place(p.url) }, el("span", { class: "soft" }, `p${p.id}`), el("div", { class: "track" }, filled), el("span", {}, p.lag === null ? "unknown" : number(p.lag), p.taken ? el("span", { class: "soft" }, ` (${number(p.taken)} taken)`) : null));
  }));
  const idle = rows.filter((p) => p.lag === 0 && !p.taken), busy = rows.filter((p) => !idle.includes(p));
  const isOpen = $("#lag details")?.open;
  fill($("#lag"), rows.length ? null : el("p", { class: "soft" }, "No partitions assigned: the lag is unknown."), busy.length ? bars(busy) : null,
    idle.length ? el("details", { open: isOpen }, el("summary", {}, `${counted(idle.length, "partition")} with nothing to do`), bars(idle)) : null);
}

// What each target of a provider came to; limits hold for a provider, so waits stand in its row.
function showModels(now) {
  const rows = new Map();
  const row = (name) => { if (!rows.has(name)) rows.set(name, { calls: 0, failed: 0, retried: 0, waited: 0, waiting: 0, input: 0, output: 0, cost: null, state: null }); return rows.get(name); };
  const target = (provider, model) => row(`${provider}/${model}`);
  for (const [[provider, model, outcome], n] of now.calls) { const r = target(provider, model); r.calls += n; if (outcome !== "ok") r.failed += n; }
  for (const [[provider, model, direction], n] of now.tokens) target(provider, model)[direction] += n;
  for (const [[provider, model], n] of now.cost_usd) { const r = target(provider, model); r.cost = (r.cost ?? 0) + n; }
  const ofProvider = (name) => { const own = [...rows.keys()].filter((key) => key.startsWith(`${name}/`)); return row(own.length === 1 ? own[0] : `${name}, all models`); };
  for (const [[provider], n] of now.rate_limit_wait_s) if (n) ofProvider(provider).waited += n;
  for (const [[provider], n] of now.rate_limit_waiting) if (n) ofProvider(provider).waiting += n;
  for (const [[provider], n] of now.retries) ofProvider(provider).retried += n;
  for (const [[name], state] of now.breakers) if (state === 1) ofProvider(name).state = 1;
  for (const name of now.open) row(name).state = 2;
  const tag = (state) => el("span", { class: `tag ${["good", "warn", "bad"][state ?? 0]}` }, ["closed", "half open", "open"][state ?? 0]);
  const share = (r) => (r.failed ? el("span", { class: r.failed / r.calls > 0.05 ? "bad" : "" }, `${number(r.failed)} (${((100 * r.failed) / r.calls).toFixed(1)} %)`) : "0");
  fill($("#models"), table(["Model", "Breaker", "Calls", "Failed", "Retried", "Held by limits", "Tokens in", "Tokens out", "Cost"],
    [...rows].sort().map(([name, r]) => [name, tag(r.state), number(r.calls), share(r), number(r.retried), seconds(r.waited) + (r.waiting ? `, ${number(r.waiting)} now` : ""), number(r.input), number(r.output), r.cost === null ? (r.input + r.output ? "unknown" : "–") : dollars(r.cost)]), "No model has been called yet."));
}

// What each named key has used since the workers' starts, the most expensive first.
function showKeys(now) {
  const rows = new Map();
  const row = (name) => { if (!rows.has(name)) rows.set(name, { input: 0, output: 0, usd: 0 }); return rows.get(name); };
  for (const [[name, direction], n] of now.key_tokens) row(name)[direction] += n;
  for (const [[name], n] of now.key_cost_usd) row(name).usd += n;
  $("#keys-panel").classList.toggle("hidden", !rows.size);
  fill($("#keys"), table(["Key", "Tokens in", "Tokens out", "Cost since start"],
    [...rows].sort((a, b) => b[1].usd - a[1].usd || b[1].input - a[1].input).map(([name, r]) => [name, number(r.input), number(r.output), r.usd ? dollars(r.usd) : unpricedTokens(now) ? "unknown" : "$0"]), ""));
}

// Records that make several calls, the oldest first, with the step that each is in.
function showAgents(now) {
  $("#agents-panel").classList.toggle("hidden", !now.agents.length);
  fill($("#agents"), table(["Record", "Type", "For", "Steps", "Last step", "It is"],
    now.agents.map((a) => [a.id, a.type, span(a.age_s), number(a.begun), `${a.last.kind} ${a.last.name}`, `${a.last.outcome}, ${seconds(a.last.duration_s)}`]), ""));
}

function showWorkers() {
  fill($("#workers"), el("div", { class: "rows" }, told.map(({ url, members, partitions, now }, i) => {
    const [kind, text] = stateOf(now), points = lines.get(url) || [], point = points.at(-1);
    return el("article", { class: "worker" },
      el("span", { class: `tag ${kind}` }, text),
      i ? el("a", { href: url, class: "id" }, place(url)) : el("span", { class: "id" }, place(url), el("span", { class: "soft" }, " serves this page")),
      members > 1 ? el("span", { class: "tag bad" }, `${members} workers at this address`) : null,
      now ? el("strong", {}, `${number(point.answered)} per s`) : null,
      el("span", { class: "facts" }, partitions.length ? `partitions ${partitions.join(" ")}` : "no partitions", now ? ` · ${number(now.in_flight)} in flight · lag ${point.lag === null ? "unknown" : number(point.lag)} · p95 ${seconds(point.p95)} · up ${span(now.uptime_s)}` : ""),
      points.length ? spark(points, (p) => p.answered) : null);
  })));
}

function showChecks() {
  const nows = looked().map((w) => w.now).filter(Boolean);
  const names = [...new Set(nows.flatMap((now) => Object.keys(now.checks)))];
  fill($("#checks"), el("ul", { class: "checks" }, names.map((name) => {
    const checks = nows.map((now) => now.checks[name]).filter(Boolean);
    const good = checks.filter(([ok]) => ok).length, worst = checks.find(([ok]) => !ok) || checks[0];
    const text = checks.length === 1 ? (good ? "ok" : "no") : `${good} of ${checks.length}`;
    return el("li", {}, el("span", { class: `tag ${good === checks.length ? "good" : "bad"}` }, text), ` ${name} `, el("span", { class: "soft" }, !worst[0] || checks.every(([, said]) => said === worst[1]) ? worst[1] : ""));
  })));
}
