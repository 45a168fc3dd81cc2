// The stream, and the page.

let following = 0;
async function follow() {
  const mine = ++following;
  await remember().catch(() => null); // an older worker remembers nothing
  while (mine === following) {
    try {
      const response = await ask("/v1/live");
      outcomes.length = 0;
      unseen = "";
      for await (const { event, data } of eventsOf(response)) {
        if (mine !== following) return;
        const body = JSON.parse(data);
        if (event === "workers") { take(body); showHead(); if (!document.hidden && !$("#overview").classList.contains("hidden")) showOverview(); }
        else if (event === "outcomes") { outcomes.push(...body); outcomes.splice(0, outcomes.length - 1000); showAnswers(); }
      }
    } catch (error) {
      if (error.status === 401) return;
      unseen = error.status === 403 ? error.message : "";
    }
    $("#status").className = unseen ? "tag" : "tag bad";
    $("#status").textContent = unseen || "no connection";
    showAnswers();
    await new Promise((resolve) => setTimeout(resolve, unseen ? 30000 : 2000));
  }
}

// What this key may do: a button that it may not press is no surprise then.
async function showKey() {
  try {
    const own = await (await ask("/v1/key")).json();
    const limits = [own.tenant && `tenant ${own.tenant}`, own.models && `models ${own.models.join(", ")}`].filter(Boolean).join(", ");
    $("#key-may").textContent = `${own.name ? `key ${own.name}` : "you"} may: ${own.scopes.join(", ")}${limits ? ` (${limits})` : ""}`;
  } catch (error) { $("#key-may").textContent = ""; }
}

const tabs = () => [...document.querySelectorAll('[role="tab"]')];
const loaders = { flows: loadFlows, dead: loadDead, prompts: loadPrompts, tools: loadTools, answers: showAnswers, overview: showOverview };
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
  legend("#latency-legend", [["k1", "p50"], ["k2", "p95"], ["k5", "p99"]]);
  $("#hour").addEventListener("click", async (event) => {
    isHour = !isHour;
    event.target.setAttribute("aria-pressed", isHour);
    if (isHour) await remember().catch(() => null);
    showCharts();
  });
  setInterval(() => { if (isHour && !document.hidden) remember().then(showCharts).catch(() => null); }, 60000);
  $("#who").addEventListener("change", (event) => { chosen = event.target.value; showOverview(); });
  $("#answers-q").addEventListener("input", showAnswers);
  $("#answers-pause").addEventListener("click", (event) => { paused = !paused; event.target.setAttribute("aria-pressed", paused); event.target.textContent = paused ? "Go on" : "Pause"; showAnswers(); });
  let typing = 0;
  $("#dead-q").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(loadDead, 300); });
  $("#dead-kind").addEventListener("change", loadDead);
  $("#dead-flow").addEventListener("change", loadDead);
  setInterval(() => { if (!document.hidden && !$("#flows").classList.contains("hidden")) loadFlows(); }, 3000);
  $("#dead-load").addEventListener("click", loadDead);
  $("#dead-all").addEventListener("click", selectDead);
  $("#dead-replay").addEventListener("click", replayDead);
  const example = () => { $("#play-body").value = JSON.stringify(EXAMPLES[$("#play-type").value], null, 2); };
  fill($("#play-type"), Object.keys(EXAMPLES).map((name) => el("option", { value: name }, name)));
  $("#play-type").addEventListener("change", example);
  example();
  $("#play-form").addEventListener("submit", (event) => { event.preventDefault(); play("/v1/generate", (r) => ({ ...r, stream: true })); });
  $("#play-topic").addEventListener("click", () => play("/v1/requests?wait=60", (r) => r));
  $("#play-body").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); $("#play-form").requestSubmit(); } });
  showKey();
  open(wanted());
  follow();
});
// A link that is pasted over the open page, or one that names a view by its title.
const NAMES = { "dead-letters": "dead", playground: "play" };
function wanted() {
  const name = location.hash.slice(1), view = NAMES[name] ?? name;
  return document.getElementById(`tab-${view}`) ? view : "overview";
}
addEventListener("hashchange", () => open(wanted()));
addEventListener("keychange", () => { showKey(); follow(); open(wanted()); });
addEventListener("resize", () => told.length && !$("#overview").classList.contains("hidden") && showCharts());
