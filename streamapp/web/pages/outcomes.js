// How records ended: answers as they come, and dead letters.

const outcomes = [];
const opened = new Map(); // what was found of an opened outcome, by id and time

const NOT_KEPT = "The answer is not kept any more: answers are remembered for the ledger's time.";
const OVER_HTTP = "It came over HTTP: of its request and answer no more than this is kept.";

// All of one outcome: the request while its topic holds it, and the answer while a worker has it.
function whole(o) {
  const name = `${o.id} ${o.at}`, place = el("div", {}, opened.has(name) ? opened.get(name) : null);
  const details = el("details", { class: "whole", open: opened.has(name) }, el("summary", {}, o.status === "ok" ? "request and whole answer" : "request"), place);
  details.addEventListener("toggle", async () => {
    if (!details.open) { opened.delete(name); return; }
    if (opened.has(name)) return;
    fill(place, el("p", { class: "soft" }, "asking…"));
    const parts = wholeOf(o, ...(await Promise.all([requestOf(o), answerOf(o)])));
    opened.set(name, parts);
    fill(place, parts);
  });
  return details;
}

async function found(path) {
  try { return await (await ask(path)).json(); } catch (error) { return { error: error.message, status: error.status }; }
}
const requestOf = (o) => (o.offset === undefined ? null : found(`/v1/flows/${encodeURIComponent(o.flow)}/records/${o.partition}/${o.offset}`));
const answerOf = (o) => (o.status !== "ok" || o.source === "http" ? null : found(`/v1/requests/${encodeURIComponent(o.id)}`));

function facts(all) {
  return el("dl", { class: "facts" }, Object.entries(all).filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "").map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value.nodeType ? value : String(value)))));
}

// JSON by lines, each of its numbers and texts as it stands: to parse it would round long numbers.
function pretty(text) {
  try { JSON.parse(text); } catch (error) { return text; }
  const next = /\s*("(?:[^"\\]|\\.)*"|[{[]\s*[}\]]|[^\s{}[\],:"]+|.)\s*/sy;
  let out = "", depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  for (let match; (match = next.exec(text)); ) {
    const part = match[1];
    if (part === "{" || part === "[") { depth += 1; out += part + line(); }
    else if (part === "}" || part === "]") { depth -= 1; out += line() + part; }
    else if (part === ",") out += part + line();
    else out += part === ":" ? ": " : part.startsWith('"') ? part : part.replace(/\s/g, "");
  }
  return out;
}

function wholeOf(o, request, answer) {
  const r = answer && !answer.error ? answer : {};
  const cost = r.cost_usd === undefined ? o.cost_usd : r.cost_usd;
  const block = (name, text) => [el("h3", {}, name), el("pre", { class: "answer", tabindex: 0, "aria-label": name }, text)];
  const note = (text) => el("p", { class: "soft" }, text);
  const headers = (request?.headers || []).map(({ name, value }) => `${name}: ${value}`).join("\n");
  return [
    request?.record ? block("Request", pretty(request.record)) : note(request?.error || OVER_HTTP),
    r.output !== undefined ? block("Whole answer", asText(r.output)) : answer?.error ? note(answer.status === 404 ? NOT_KEPT : answer.error) : null,
    r.tool_calls ? block("Tool calls", JSON.stringify(r.tool_calls, null, 2)) : null,
    r.steps ? block("Steps", JSON.stringify(r.steps, null, 2)) : null,
    headers ? block("Headers of the request", headers) : null,
    facts({
      Id: o.id, Flow: o.flow, Place: o.offset === undefined ? null : `${request?.topic || "partition"} ${o.partition}@${o.offset}`, Key: request?.key, Sent: request?.at && time(request.at),
      Model: o.model && `${o.provider}/${o.model}`, Prompt: o.prompt && `${o.prompt}${o.label ? ` @${o.label}` : ""}`,
      Tokens: r.usage ? `${r.usage.input_tokens} in, ${r.usage.output_tokens} out` : o.tokens !== undefined && `${number(o.tokens)} in all`,
      Cost: o.status !== "ok" ? null : cost === null ? "unknown" : dollars(Number(cost)), Attempts: r.attempts, "Active time": o.duration_s !== undefined && seconds(o.duration_s),
      Cached: o.cached === undefined ? null : o.cached ? "yes" : "no", "Ended by": r.finish_reason, Answered: time(o.at), Kind: o.kind, Trace: o.trace_id,
      Metadata: r.metadata && Object.keys(r.metadata).length ? JSON.stringify(r.metadata) : null,
    }),
  ];
}
let paused = false;
let unseen = ""; // why this key sees no live numbers

function showAnswers() {
  if (paused || $("#answers").classList.contains("hidden")) return;
  const wanted = $("#answers-q").value.trim().toLowerCase();
  const found = outcomes.filter((o) => !wanted || JSON.stringify(o).toLowerCase().includes(wanted)).sort((a, b) => b.at - a.at).slice(0, 100);
  fill($("#answers-list"), found.length ? found.map((o) => el("article", { class: "row" },
    clock(o.at),
    el("span", { class: `tag ${o.status === "ok" ? "good" : "bad"}` }, o.status === "ok" ? o.type : o.kind),
    el("span", { class: "id" }, o.id),
    el("span", { class: "meta" }, o.status === "ok" ? `${o.cached ? "cached · " : ""}${seconds(o.duration_s)} · ${number(o.tokens)} tok${o.cost_usd && Number(o.cost_usd) ? ` · ${dollars(Number(o.cost_usd))}` : ""}` : o.type || ""),
    el("span", { class: "text" }, o.text), whole(o))) : el("p", { class: "soft" }, unseen ? unseen : wanted ? "Nothing fits." : "No record has ended yet: send one from the playground."));
}

const picked = new Map();
const LISTED = 100;

// Those of one flow's topic, or the newest of all flows' together, as the count in the tab is.
async function deadLetters() {
  await knowFlows();
  const query = new URLSearchParams({ limit: LISTED });
  if ($("#dead-q").value.trim()) query.set("q", $("#dead-q").value.trim());
  if ($("#dead-kind").value) query.set("kind", $("#dead-kind").value);
  const flows = $("#dead-flow").value ? [$("#dead-flow").value] : [...$("#dead-flow").options].map((o) => o.value).filter(Boolean);
  const asked = await Promise.allSettled(flows.map(async (flow) => ({ flow, ...await (await ask(`/v1/dead-letters?${query}&flow=${encodeURIComponent(flow)}`)).json() })));
  const bodies = asked.filter((one) => one.status === "fulfilled").map((one) => one.value);
  const failed = asked.flatMap((one, i) => one.status === "rejected" ? [`${flows[i]}: ${one.reason.message}`] : []);
  if (!bodies.length) throw new Error(failed[0]);
  const all = bodies.flatMap((body) => body.dead_letters.map((d) => ({ ...d, flow: body.flow })));
  return { dead_letters: all.sort((a, b) => b.at - a.at).slice(0, LISTED), complete: !failed.length && bodies.every((body) => body.complete), failed };
}

let deadLoads = 0;
async function loadDead() {
  const load = ++deadLoads;
  try {
    const body = await deadLetters();
    if (load !== deadLoads) return; // another one was asked for meanwhile
    picked.clear();
    const note = $("#dead-note"), missed = body.failed.length ? `not listed: ${body.failed.join("; ")}` : "";
    if (missed || note.textContent.startsWith("not listed")) note.textContent = missed;
    $("#dead-replay").disabled = true;
    $("#dead-all").disabled = body.dead_letters.every((d) => d.replayed);
    const kinds = new Set([...$("#dead-kind").options].map((o) => o.value));
    for (const kind of new Set(body.dead_letters.map((d) => d.kind))) if (kind && !kinds.has(kind)) $("#dead-kind").append(el("option", { value: kind }, kind));
    fill($("#dead-groups"), groups(body.dead_letters));
    fill($("#dead-list"), body.dead_letters.length ? body.dead_letters.map(deadRow) : el("p", { class: "soft" }, body.complete ? "No dead letter fits." : "None of the newest fits; streamapp dead-letters list looks at all."));
  } catch (error) { $("#dead-note").textContent = error.message; }
}

const placeOf = (d) => `${d.flow} ${d.partition}@${d.offset}`;

// The listed ones by kind and reason: one cause is one line, however many records it took.
function groups(letters) {
  const found = new Map();
  for (const d of letters) { const key = JSON.stringify([d.kind || "?", d.message || ""]); found.set(key, [...(found.get(key) || []), d]); }
  if (found.size < 2) return null;
  const rows = [...found].sort((a, b) => b[1].length - a[1].length).map(([key, some]) => {
    const [kind, reason] = JSON.parse(key), ids = new Set(some.filter((d) => !d.replayed).map(placeOf));
    const select = el("button", { type: "button", onclick: () => { for (const box of $("#dead-list").querySelectorAll("input")) { box.checked = ids.has(box.dataset.place); box.dispatchEvent(new Event("change")); } } }, "Select");
    return [el("span", { class: "tag bad" }, kind), number(some.length), number(ids.size), select, reason];
  });
  return el("div", { class: "panel group" }, el("h2", {}, "By kind and reason"), table(["Kind", "Listed", "Unsent", "", "Reason"], rows, "", ["Reason"]));
}

const CUT = 2000; // the list has no more of a record

// The record as it was, to be corrected and sent where it stood.
function editor(d) {
  if (d.record.length >= CUT) return el("p", { class: "soft" }, `Cut at ${number(CUT)} characters: streamapp dead-letters show ${d.partition}@${d.offset} prints the whole record.`);
  const text = el("textarea", { rows: 8, spellcheck: "false", "aria-label": `Record ${d.id}` });
  const note = el("p", { class: "soft", role: "status" });
  const send = el("button", { type: "button", onclick: async () => {
    send.disabled = true;
    try {
      const { result, sent_to: to } = await (await ask("/v1/dead-letters/edit", { method: "POST", json: { place: { partition: d.partition, offset: d.offset }, record: text.value } })).json();
      note.textContent = to ? `sent to ${to.topic}-${to.partition}@${to.offset}` : result === "replayed" ? "not sent: it was sent again before, or stands twice, as around a crash" : `not sent: ${result}`;
      if (to) return; // once: it counts as sent again
    } catch (error) { note.textContent = error.message; }
    send.disabled = false;
  } }, "Send edited");
  text.value = pretty(d.record);
  return el("div", {}, text, el("div", { class: "bar" }, send, el("span", { class: "soft" }, "in its place, with its key and headers")), note);
}

function deadRow(d) {
  const id = `${d.partition}@${d.offset}`, isOwn = d.flow === "requests", isOneOfMany = $("#dead-flow").options.length > 2;
  const box = el("input", { type: "checkbox", "data-place": placeOf(d), "data-sent": d.replayed || null, "aria-label": `Select ${d.id}`, onchange: () => {
    if (box.checked) picked.set(placeOf(d), d); else picked.delete(placeOf(d));
    $("#dead-replay").disabled = !picked.size;
  } });
  return el("article", { class: "row pick" }, box, time(d.at), el("span", {}, el("span", { class: d.replayed ? "tag" : "tag bad" }, d.kind || "?")), el("span", { class: "id" }, d.id || ""),
    el("span", { class: "meta" }, `${isOneOfMany ? `${d.flow} · ` : ""}${d.type || (isOwn ? "?" : "record")} · ${counted(d.attempts, "attempt")}${d.replays ? ` · replayed ${d.replays}×` : ""}${d.replayed ? " · sent again" : ""}`), el("span", { class: "text" }, d.message || ""),
    el("details", {}, el("summary", {}, `record at ${id}`), d.record === null || d.record === undefined ? el("p", { class: "soft" }, "(not kept)") : [el("pre", { tabindex: 0, "aria-label": "Record" }, pretty(d.record)), isOwn ? editor(d) : el("p", { class: "soft" }, "A record of a topic of yours: correct it where it comes from, or by ", el("code", {}, `streamapp dead-letters edit ${id} --flow ${d.flow}`), ".")]));
}

function selectDead() {
  // What was sent again is not sent twice.
  const boxes = [...$("#dead-list").querySelectorAll("input:not([data-sent])")], wanted = boxes.some((box) => !box.checked);
  for (const box of boxes) { box.checked = wanted; box.dispatchEvent(new Event("change")); }
}

async function replayDead() {
  $("#dead-replay").disabled = true;
  try {
    const flows = [...new Set([...picked.values()].map((d) => d.flow))], counts = {};
    for (const flow of flows) {
      const places = [...picked.values()].filter((d) => d.flow === flow).map(({ partition, offset }) => ({ partition, offset }));
      const body = await (await ask("/v1/dead-letters/replay", { method: "POST", json: { places, flow } })).json();
      for (const { result } of body.results) counts[result] = (counts[result] || 0) + 1;
    }
    $("#dead-note").textContent = Object.entries(counts).map(([name, n]) => `${n} ${name}`).join(", ");
  } catch (error) { $("#dead-note").textContent = error.message; }
  await loadDead();
}

