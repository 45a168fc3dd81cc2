// Flows: a picture of each chain of topics and flows, with what runs through it.

const BOX = { width: 216, flow: 62, topic: 34, gap: 46, beside: 18 };
const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 9)}…${text.slice(-8)}` : text);
const perSecond = (rate) => (rate === null ? "no rate yet" : `${number(rate)} per s`);

// Topics and flows as nodes; a chain is what hangs together.
function chainsOf(flows) {
  const nodes = new Map(), edges = [];
  const node = (kind, name, flow = null) => { const id = `${kind} ${name}`; if (!nodes.has(id)) nodes.set(id, { id, kind, name, flow, row: 0 }); return nodes.get(id); };
  for (const flow of flows) {
    const box = node("flow", flow.name, flow);
    edges.push({ from: node("topic", flow.input), to: box, text: `lag ${number(flow.lag)}`, isHigh: flow.lag > 1000 });
    for (const topic of flow.outputs) edges.push({ from: box, to: node("topic", topic), text: perSecond(flow.rate_per_s) });
    for (const topic of flow.reply_topics) edges.push({ from: box, to: node("topic", topic), text: "replies", isReply: true });
  }
  // A row below what leads there; bounded, should flows ever run in a circle.
  for (let turn = 0; turn < nodes.size; turn++) for (const { from, to } of edges) if (to.row <= from.row && from.row < nodes.size) to.row = from.row + 1;
  const chains = [];
  for (const first of nodes.values()) {
    if (chains.some((chain) => chain.includes(first))) continue;
    const chain = [first];
    for (const at of chain) for (const { from, to } of edges) for (const [one, other] of [[from, to], [to, from]]) if (one === at && !chain.includes(other)) chain.push(other);
    chains.push(chain);
  }
  return chains.map((chain) => ({ nodes: chain, edges: edges.filter((edge) => chain.includes(edge.from)) }));
}

function chainPicture({ nodes, edges }) {
  const rows = [];
  for (const node of nodes) (rows[node.row] ||= []).push(node);
  const used = rows.filter(Boolean), most = Math.max(...used.map((row) => row.length));
  const width = most * BOX.width + (most - 1) * BOX.beside + 2;
  let top = 1;
  for (const row of used) {
    const wide = row.length * BOX.width + (row.length - 1) * BOX.beside;
    row.forEach((node, i) => { node.x = (width - wide) / 2 + i * (BOX.width + BOX.beside); node.y = top; node.height = BOX[node.kind]; });
    top += Math.max(...row.map((node) => node.height)) + BOX.gap;
  }
  const middle = (node) => node.x + BOX.width / 2;
  const ofNode = (end, node) => edges.filter((edge) => edge[end] === node).length;
  const lines = edges.map(({ from, to, text, isHigh, isReply }) => {
    const [x1, y1, x2, y2] = [middle(from), from.y + from.height, middle(to), to.y - 5], half = (y1 + y2) / 2;
    // The words stand at the end that is this line's alone, on the side from which no line comes.
    const isAtStart = ofNode("from", from) === 1 && ofNode("to", to) > 1;
    const [x, other, y] = isAtStart ? [x1, x2, y1 + 18] : [x2, x1, y2 - 10], isLeft = x < other;
    return [
      el("svg:path", { class: isReply ? "edge reply" : "edge", d: `M${x1},${y1}C${x1},${half} ${x2},${half} ${x2},${y2}` }),
      el("svg:path", { class: "tip", d: `M${x2 - 4},${y2 - 1}h8l-4,6z` }),
      el("svg:text", { class: isHigh ? "label high" : "label", x: isLeft ? x - 7 : x + 7, y, "text-anchor": isLeft ? "end" : "start" }, text),
    ];
  });
  const boxes = nodes.map((node) => el("svg:g", {},
    el("svg:title", {}, node.name),
    el("svg:rect", { class: node.kind, x: node.x, y: node.y, width: BOX.width, height: node.height, rx: node.flow ? 8 : node.height / 2 }),
    el("svg:text", { class: node.flow ? "name" : "topic-name", x: middle(node), y: node.y + (node.flow ? 25 : 22), "text-anchor": "middle" }, shortened(node.name, 28)),
    node.flow && el("svg:text", { class: node.flow.dead_letters ? "label high" : "label", x: middle(node), y: node.y + 46, "text-anchor": "middle" }, counted(node.flow.dead_letters, "dead letter"))));
  const said = nodes.filter((node) => node.flow).map(({ flow }) => `${flow.name} from ${flow.input} to ${[...flow.outputs, ...flow.reply_topics].join(", ") || "nowhere"}`).join("; ");
  const height = top - BOX.gap + 1;
  const picture = el("svg:svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `Chain of flows: ${said}` }, lines, boxes);
  return el("div", { class: "chain scroll", tabindex: 0, role: "group", "aria-label": "Picture of a chain" }, picture);
}

async function loadFlows() {
  try {
    const { flows } = await (await ask("/v1/flows")).json();
    fill($("#flow-note"));
    // Workers count what answers cost from their start on.
    const costOf = flows[0]?.cost_counted_s ?? 86400;
    const period = costOf >= 86400 ? "24 hours" : costOf >= 3600 ? `since a start ${Math.floor(costOf / 3600)} h ago` : `since a start ${Math.floor(costOf / 60)} min ago`;
    fill($("#flow-chains"), chainsOf(flows).map(chainPicture));
    fill($("#flow-table"), table(["Flow", "Input", "Partitions", "Outputs", "Done", "Lag", "Dead letters", `Cost, ${period}`], flows.map((f) => [
      f.name, f.partitions ? f.input : [f.input, " ", el("span", { class: "tag bad" }, "missing")], number(f.partitions), [...f.outputs, ...f.reply_topics].join(", ") || "none",
      f.rate_per_s === null ? "–" : `${number(f.rate_per_s)} per s`, number(f.lag),
      f.dead_letters ? el("button", { type: "button", class: "slim", "aria-label": `${counted(f.dead_letters, "dead letter")} of ${f.name}`, onclick: () => openDead(f.name) }, number(f.dead_letters)) : "0",
      f.cost_usd_day === null ? "unknown" : dollars(Number(f.cost_usd_day)) + (f.unpriced_day ? ", some unknown" : "")]), "", ["Input", "Outputs"]));
    nameFlows(flows.map((f) => f.name));
  } catch (error) { $("#flow-note").textContent = error.message; }
}

// The dead letters of one flow, in their own view.
function openDead(flow) {
  nameFlows([flow]);
  $("#dead-flow").value = flow;
  open("dead");
}

// The choice of a flow in the view of dead letters; hidden where there is the built-in one alone.
function nameFlows(names) {
  const known = [...$("#dead-flow").options].map((option) => option.value);
  for (const name of names) if (!known.includes(name)) $("#dead-flow").append(el("option", { value: name }, name));
  $("#dead-flow-label").classList.toggle("hidden", $("#dead-flow").options.length < 3);
}

// Which flows there are, asked once; a key that may not know has those of the requests alone.
let flowsKnown = null;
const knowFlows = () => (flowsKnown ||= ask("/v1/flows").then((r) => r.json()).then(({ flows }) => nameFlows(flows.map((f) => f.name))).catch(() => { flowsKnown = null; }));
