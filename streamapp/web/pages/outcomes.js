// How records ended: answers as they come, and dead letters.

const outcomes = [];
const opened = new Map(); // what was asked of an opened answer, by id

// The whole of one answer: what the worker that has it tells of it.
function whole(o) {
  const place = el("div", {}, opened.has(o.id) ? wholeOf(opened.get(o.id)) : null);
  const details = el("details", { class: "whole", open: opened.has(o.id) }, el("summary", {}, "whole answer"), place);
  details.addEventListener("toggle", async () => {
    if (!details.open) { opened.delete(o.id); return; }
    if (opened.has(o.id)) return;
    fill(place, el("p", { class: "soft" }, "asking…"));
    try {
      const body = await (await ask(`/v1/requests/${encodeURIComponent(o.id)}`)).json();
      opened.set(o.id, body);
      fill(place, wholeOf(body));
    } catch (error) { fill(place, el("p", { class: "bad" }, error.status === 404 ? "It is not kept any more: answers are remembered for the ledger's time, those over HTTP not at all." : error.message)); }
  });
  return details;
}

function wholeOf(r) {
  const facts = { Provider: r.provider && `${r.provider}/${r.model}`, Prompt: r.prompt && `${r.prompt.name}:${r.prompt.version}${r.prompt.label ? ` @${r.prompt.label}` : ""}`, Tokens: r.usage && `${r.usage.input_tokens} in, ${r.usage.output_tokens} out`, Cost: r.cost_usd === null ? "unknown" : r.cost_usd !== undefined && dollars(Number(r.cost_usd)), Attempts: r.attempts, "Active time": r.duration_s !== undefined && seconds(r.duration_s), Cached: r.cached === undefined ? null : r.cached ? "yes" : "no", "Ended by": r.finish_reason, Written: r.created_at && new Date(r.created_at).toLocaleString(), Kind: r.kind, Steps: r.steps && JSON.stringify(r.steps), Metadata: r.metadata && Object.keys(r.metadata).length ? JSON.stringify(r.metadata) : null };
  return [r.output === undefined ? null : el("pre", { class: "answer", tabindex: 0, "aria-label": "Whole answer" }, asText(r.output)), r.tool_calls ? el("pre", { tabindex: 0, "aria-label": "Tool calls" }, JSON.stringify(r.tool_calls, null, 2)) : null,
    el("dl", { class: "facts" }, Object.entries(facts).filter(([, value]) => value !== null && value !== undefined && value !== false).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))))];
}
let paused = false;

function showAnswers() {
  if (paused || $("#answers").classList.contains("hidden")) return;
  const wanted = $("#answers-q").value.trim().toLowerCase();
  const found = outcomes.filter((o) => !wanted || JSON.stringify(o).toLowerCase().includes(wanted)).sort((a, b) => b.at - a.at).slice(0, 100);
  fill($("#answers-list"), found.length ? found.map((o) => el("article", { class: "row" },
    el("time", { datetime: new Date(o.at * 1000).toISOString() }, clock(o.at)),
    el("span", { class: `tag ${o.status === "ok" ? "good" : "bad"}` }, o.status === "ok" ? o.type : o.kind),
    el("span", { class: "id" }, o.id),
    el("span", { class: "meta" }, o.status === "ok" ? `${o.cached ? "cached · " : ""}${seconds(o.duration_s)} · ${number(o.tokens)} tok${o.cost_usd && Number(o.cost_usd) ? ` · ${dollars(Number(o.cost_usd))}` : ""}` : o.type || ""),
    el("span", { class: "text" }, o.text), o.status === "ok" && o.source !== "http" ? whole(o) : null)) : el("p", { class: "soft" }, wanted ? "Nothing fits." : "No record has ended yet: send one from the playground."));
}

const picked = new Map();
async function loadDead() {
  const query = new URLSearchParams({ limit: "100" });
  if ($("#dead-q").value.trim()) query.set("q", $("#dead-q").value.trim());
  if ($("#dead-kind").value) query.set("kind", $("#dead-kind").value);
  try {
    const body = await (await ask(`/v1/dead-letters?${query}`)).json();
    picked.clear();
    $("#dead-replay").disabled = true;
    $("#dead-all").disabled = !body.dead_letters.length;
    const kinds = new Set([...$("#dead-kind").options].map((o) => o.value));
    for (const kind of new Set(body.dead_letters.map((d) => d.kind))) if (kind && !kinds.has(kind)) $("#dead-kind").append(el("option", { value: kind }, kind));
    fill($("#dead-groups"), groups(body.dead_letters));
    fill($("#dead-list"), body.dead_letters.length ? body.dead_letters.map(deadRow) : el("p", { class: "soft" }, body.complete ? "No dead letter fits." : "None of the newest fits; streamapp dead-letters list looks at all."));
  } catch (error) { $("#dead-note").textContent = error.message; }
}

// The listed ones by kind and reason: one cause is one line, however many records it took.
function groups(letters) {
  const found = new Map();
  for (const d of letters) { const key = JSON.stringify([d.kind || "?", d.message || ""]); found.set(key, [...(found.get(key) || []), d]); }
  if (found.size < 2) return null;
  const rows = [...found].sort((a, b) => b[1].length - a[1].length).map(([key, some]) => {
    const [kind, reason] = JSON.parse(key), ids = new Set(some.map((d) => `${d.partition}@${d.offset}`));
    const select = el("button", { type: "button", onclick: () => { for (const box of $("#dead-list").querySelectorAll("input")) { box.checked = ids.has(box.dataset.place); box.dispatchEvent(new Event("change")); } } }, "Select");
    return [el("span", { class: "tag bad" }, kind), reason, number(some.length), select];
  });
  return el("div", { class: "panel group" }, el("h2", {}, "By kind and reason"), table(["Kind", "Reason", "Listed", ""], rows, ""));
}

// The record as it was, to be corrected and sent as a new one.
function editor(d) {
  const text = el("textarea", { rows: 8, spellcheck: "false", "aria-label": `Record ${d.id}` });
  const note = el("p", { class: "soft", role: "status" });
  const send = el("button", { type: "button", onclick: async () => {
    send.disabled = true;
    try { const body = await (await ask("/v1/requests", { method: "POST", json: JSON.parse(text.value) })).json(); note.textContent = `sent as ${body.id}`; }
    catch (error) { note.textContent = error.message; }
    send.disabled = false;
  } }, "Send edited");
  try { text.value = JSON.stringify(JSON.parse(d.record), null, 2); } catch (error) { text.value = d.record; }
  return el("div", {}, text, el("div", { class: "bar" }, send, el("span", { class: "soft" }, "as a new record, without its key and headers")), note);
}

function deadRow(d) {
  const id = `${d.partition}@${d.offset}`;
  const box = el("input", { type: "checkbox", "data-place": id, "aria-label": `Select ${d.id}`, onchange: () => {
    if (box.checked) picked.set(id, { partition: d.partition, offset: d.offset }); else picked.delete(id);
    $("#dead-replay").disabled = !picked.size;
  } });
  return el("article", { class: "row pick" }, box, el("time", {}, clock(d.at)), el("span", {}, el("span", { class: "tag bad" }, d.kind || "?")), el("span", { class: "id" }, d.id || ""),
    el("span", { class: "meta" }, `${d.type || "?"} · ${counted(d.attempts, "attempt")}${d.replays ? ` · replayed ${d.replays}×` : ""}${d.replayed ? " · sent again" : ""}`), el("span", { class: "text" }, d.message || ""),
    el("details", {}, el("summary", {}, `record at ${id}`), d.record === null || d.record === undefined ? el("p", { class: "soft" }, "(not kept)") : [el("pre", { tabindex: 0, "aria-label": "Record" }, d.record), editor(d)]));
}

function selectDead() {
  const boxes = [...$("#dead-list").querySelectorAll("input")], wanted = boxes.some((box) => !box.checked);
  for (const box of boxes) { box.checked = wanted; box.dispatchEvent(new Event("change")); }
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

