// Prompts: versions, differences, labels, shares and what they came to.

async function loadPrompts() {
  try {
    const body = await (await ask("/v1/prompts")).json();
    const known = body.prompts.sort((a, b) => a.retired - b.retired);
    fill($("#prompt-list"), el("h2", {}, "Prompts"), el("div", { class: "list" }, known.map((p) => el("button", { type: "button", "data-name": p.name, onclick: () => choosePrompt(p.name) }, el("span", {}, p.name), el("span", { class: "soft" }, p.retired ? "retired" : `v${p.labels.production ?? "–"}`)))));
    const shown = $("#prompt-view").dataset.name;
    if (shown) mark(shown); else if (known.length) await loadPrompt(known[0].name);
  } catch (error) { fill($("#prompt-list"), el("p", { class: "bad" }, error.message)); }
}

function lineDiff(before, after) {
  const a = before.split("\n"), b = after.split("\n");
  if (a.length * b.length > 400000) return [el("span", {}, after)];
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  const out = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { out.push(el("span", {}, a[i] || " ")); i++; j++; }
    else if (j < b.length && (i >= a.length || common[i][j + 1] > common[i + 1][j])) out.push(el("ins", {}, `+ ${b[j++]}`));
    else out.push(el("del", {}, `- ${a[i++]}`));
  }
  return out;
}

function mark(name) { for (const button of document.querySelectorAll("#prompt-list button")) button.setAttribute("aria-current", button.dataset.name === name); }

// What was shown goes at once: nobody shall fill in what the answer is about to replace.
function choosePrompt(name) {
  fill($("#prompt-view"), el("p", { class: "soft" }, "asking…"));
  return loadPrompt(name);
}

let promptLoads = 0;

async function loadPrompt(name, chosen = null) {
  const load = ++promptLoads;
  $("#prompt-view").dataset.name = name;
  mark(name);
  const path = `/v1/prompts/${encodeURIComponent(name)}`;
  try {
    const prompt = await (await ask(path)).json();
    const stats = await ask(`${path}/stats`).then((r) => r.json()).catch(() => ({ variants: [] }));
    if (load === promptLoads) showPrompt(prompt, stats, chosen); // else another one was asked for meanwhile
  } catch (error) { if (load === promptLoads) fill($("#prompt-view"), el("p", { class: "bad", role: "alert" }, error.message)); }
}

// Sends a change, then shows the prompt as it is after it; what went wrong stands beside the button.
function changer(prompt, version, note) {
  return async (path, json) => {
    try {
      await ask(`/v1/prompts/${encodeURIComponent(prompt.name)}/${path}`, { method: "PUT", json });
      await loadPrompt(prompt.name, version);
      await loadPrompts();
    } catch (error) { note.textContent = error.message; }
  };
}

function showPrompt(prompt, stats, chosenVersion) {
  const versions = [...prompt.versions].sort((a, b) => b.version - a.version);
  const current = versions.find((v) => v.version === (chosenVersion ?? prompt.labels.production)) || versions[0];
  const previous = versions.find((v) => v.version === current.version - 1);
  const labelsOf = (version) => Object.entries(prompt.labels).filter(([, v]) => v === version).map(([label]) => el("span", { class: "tag" }, label));
  const note = el("p", { class: "bad", role: "alert" });
  const change = changer(prompt, current.version, note);
  const label = el("input", { value: "production", size: 12 });
  const move = el("button", { type: "button", class: "primary", onclick: () => moveTo(label.value.trim(), current.version) }, "Move it here");
  const back = el("button", { type: "button", onclick: () => moveTo(label.value.trim(), prompt.before?.[label.value.trim()]) });
  const moveTo = (name, version) => {
    const isProtected = prompt.protected.includes(name);
    if (isProtected && !confirm(`"${name}" is protected. Move it to version ${version} all the same?`)) return;
    change(`labels/${encodeURIComponent(name)}`, { version, ...(isProtected ? { force: true } : {}) });
  };
  const offer = () => {
    const name = label.value.trim(), earlier = prompt.before?.[name];
    move.disabled = !name || name === "latest" || prompt.labels[name] === current.version;
    back.disabled = !earlier;
    back.textContent = earlier ? `Roll ${name} back to v${earlier}` : "Roll back";
  };
  label.addEventListener("input", offer);
  offer();
  fill($("#prompt-view"),
    el("h2", {}, `${prompt.name}, version ${current.version} `, labelsOf(current.version)),
    el("div", { class: "versions" }, versions.map((v) => el("button", { type: "button", "aria-pressed": v.version === current.version, onclick: () => showPrompt(prompt, stats, v.version) }, `v${v.version} `, labelsOf(v.version)))),
    el("p", { class: "soft" }, [[current.author, current.message].filter(Boolean).join(" · "), current.created_at && [current.author || current.message ? " · " : "", time(new Date(current.created_at) / 1000)]]),
    prompt.note ? el("p", { class: "bad" }, prompt.note) : null,
    movesOf(prompt),
    el("div", { class: "bar" }, el("label", {}, "Label ", label), move, back, el("button", { type: "button", disabled: prompt.retired, onclick: () => tryPrompt(prompt, current) }, "Try this version")), note,
    el("h3", {}, "Results by variant"), variants(stats),
    el("h3", {}, "Split"), split(prompt, change),
    settingsOf(current.settings),
    current.settings.examples ? examplesOf(prompt.name, current.version) : null,
    el("h3", {}, previous ? `Against version ${previous.version}` : "Text"),
    el("pre", { class: "diff", tabindex: 0, "aria-label": "Text of the prompt" }, previous ? lineDiff(previous.body, current.body) : current.body));
}

// Who put each label where it is: a guard's move is nobody's here.
function movesOf({ moved }) {
  const moves = Object.entries(moved || {}).filter(([, one]) => one.before);
  return moves.map(([label, one]) => el("p", { class: "soft" }, [`${label}: from v${one.before} to v${one.version}`, one.author && ` by ${one.author}`, one.message && `: ${one.message}`, " · ", time(new Date(one.created_at) / 1000)]));
}

// What goes with the text: the route, sampling, the schema of the answer, where examples come from.
function settingsOf({ output_schema: schema, examples, ...rest }) {
  const parts = { Settings: rest, "Schema of the answer": schema, "Where examples come from": examples };
  const shown = Object.entries(parts).filter(([, value]) => value && Object.keys(value).length);
  return shown.length ? shown.map(([name, value]) => [el("h3", {}, name), el("pre", { class: "diff", tabindex: 0, "aria-label": name }, JSON.stringify(value, null, 2))]) : [el("h3", {}, "Settings"), el("p", { class: "soft" }, "None but the defaults: no schema, no examples.")];
}

// What goes before each question: fetched by the worker, so that one sees what the model sees.
function examplesOf(name, version) {
  const place = el("div", { class: "examples" }, el("p", { class: "soft" }, "asking…"));
  found(`/v1/prompts/${encodeURIComponent(name)}/versions/${version}/examples`).then((body) => {
    const problem = body.error || (body.problem && `${body.source}: ${body.problem}`);
    const told = problem ? el("p", { class: "bad", role: "alert" }, problem) : null;
    if (!body.count) return fill(place, told);
    const rest = body.count - body.examples.length;
    fill(place, told, body.examples.map((example) => el("figure", {}, el("dl", { class: "facts" }, Object.entries(example.variables).map(([variable, value]) => el("div", {}, el("dt", {}, variable), el("dd", {}, asText(value))))), el("pre", { tabindex: 0, "aria-label": "Answer of the example" }, asText(example.output)))), rest ? el("p", { class: "soft" }, `and ${counted(rest, "more example")}`) : null);
  });
  return [el("h3", {}, "Examples"), place];
}

// Sums over all workers since their start; the bar is the variant's part of the records.
function variants(stats) {
  const sum = stats.variants.reduce((s, v) => s + v.calls, 0) || 1;
  const each = (v, value) => value / (v.calls || 1);
  return table(["Variant", "Records", "", "Failed", "Cached", "Mean active time", "Tokens each", "Cost each"], stats.variants.map((v) => {
    const name = `v${v.version}${v.label ? ` @${v.label}` : ""}`;
    const failed = v.errors ? el("span", { class: "bad" }, `${number(v.errors)} (${((100 * v.errors) / v.calls).toFixed(1)} %)`) : "0";
    return [name, number(v.calls), meter(v.calls / sum, `${Math.round((100 * v.calls) / sum)} of 100 records`), failed, number(v.cached), seconds(v.mean_duration_s), number(each(v, v.input_tokens + v.output_tokens)), v.unpriced ? "unknown" : dollars(each(v, Number(v.cost_usd)))];
  }), "No record has used it since the start of the workers that run now.");
}

function split(prompt, change) {
  const names = Object.keys(prompt.labels).filter((name) => name !== "latest");
  const shares = prompt.split || { production: 100 };
  const inputs = names.map((name) => [name, el("input", { type: "number", min: 0, max: 100, value: shares[name] ?? 0 })]);
  const picture = el("div", { class: "shares", role: "img", "aria-label": Object.entries(shares).map(([l, s]) => `${l} ${s} percent`).join(", ") },
    Object.entries(shares).map(([name, share], i) => { const node = el("span", { class: `k${[1, 3, 4, 5][i % 4]}` }, `${name} ${share} %`); node.style.width = `${share}%`; return node; }));
  const wanted = () => Object.fromEntries(inputs.map(([name, input]) => [name, Number(input.value)]).filter(([, share]) => share > 0));
  return el("div", {}, picture, names.length > 1 ? el("div", { class: "bar" }, inputs.map(([name, input]) => el("label", {}, `${name} `, input, " %")),
    el("button", { type: "button", onclick: () => change("split", wanted()) }, "Set shares"), prompt.split ? el("button", { type: "button", onclick: () => change("split", null) }, "End the split") : null) : el("p", { class: "soft" }, "Give another version a label to split records between them."));
}
