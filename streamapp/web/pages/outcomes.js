// How records ended: answers as they come, and dead letters.

const outcomes = [];
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
    el("span", { class: "text" }, o.text))) : el("p", { class: "soft" }, wanted ? "Nothing fits." : "No record has ended yet: send one from the playground."));
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
    fill($("#dead-list"), body.dead_letters.length ? body.dead_letters.map(deadRow) : el("p", { class: "soft" }, body.complete ? "No dead letter fits." : "None of the newest fits; streamapp dead-letters list looks at all."));
  } catch (error) { $("#dead-note").textContent = error.message; }
}

function deadRow(d) {
  const id = `${d.partition}@${d.offset}`;
  const box = el("input", { type: "checkbox", "aria-label": `Select ${d.id}`, onchange: () => {
    if (box.checked) picked.set(id, { partition: d.partition, offset: d.offset }); else picked.delete(id);
    $("#dead-replay").disabled = !picked.size;
  } });
  return el("article", { class: "row pick" }, box, el("time", {}, clock(d.at)), el("span", {}, el("span", { class: "tag bad" }, d.kind || "?")), el("span", { class: "id" }, d.id || ""),
    el("span", { class: "meta" }, `${d.type || "?"} · ${counted(d.attempts, "attempt")}${d.replays ? ` · replayed ${d.replays}×` : ""}${d.replayed ? " · sent again" : ""}`), el("span", { class: "text" }, d.message || ""),
    el("details", {}, el("summary", {}, `record at ${id}`), el("pre", {}, d.record ?? "(not kept)")));
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

