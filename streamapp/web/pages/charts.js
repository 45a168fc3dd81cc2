// Numbers and pictures as people read them.

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const number = (value) => (value >= 10000 ? compact.format(value) : new Intl.NumberFormat("en", { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value));
const seconds = (value) => value === null || value === undefined ? "–" : value === 0 ? "0 s" : value < 0.0995 ? `${(value * 1000).toFixed(value < 0.00995 ? 1 : 0)} ms` : value < 100 ? `${value.toFixed(value < 10 ? 2 : 1)} s` : `${Math.round(value / 60)} min`;
const dollars = (value) => (value === 0 ? "$0" : `$${value.toFixed(Math.max(2, 1 - Math.floor(Math.log10(value))))}`); // small sums by two digits
// Times in UTC, as commands, the log and all JSON have them, so that they can be compared.
const hasDay = (at) => Number.isFinite(new Date(at * 1000).getTime()); // a producer may write any number
const written = (at) => (hasDay(at) ? `${new Date(at * 1000).toISOString().slice(0, -5).replace("T", " ")}Z` : "-");
const time = (at, text = written(at)) => el("time", hasDay(at) ? { datetime: new Date(at * 1000).toISOString(), title: `${new Date(at * 1000).toLocaleString()} here` } : {}, text);
const clock = (at) => time(at, written(at).split(" ").at(-1));
const counted = (n, one) => `${number(n)} ${one}${n === 1 ? "" : "s"}`;
const axis = (line) => Math.max(line.length, 30); // seconds shown: they grow to KEEP
const span = (s) => s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;

function scaleOf(top) {
  if (!(top > 0)) return 1;
  const step = 10 ** Math.floor(Math.log10(top));
  return [1, 2, 2.5, 5, 10].map((m) => m * step).find((m) => m >= top);
}

// Lines (or areas stacked on one another) over the kept seconds, with a scale people can read.
function chart(place, line, series, { stacked = false, unit = (v) => number(v), step = 1, label }) {
  const width = Math.max(place.clientWidth, 240), height = place.clientHeight > 60 ? place.clientHeight : 192;
  const left = 46, bottom = 20, w = width - left - 6, h = height - bottom - 8;
  const length = line.length;
  const x = (i) => left + w * (1 - (length - 1 - i) / (axis(line) - 1));
  const base = new Array(length).fill(0);
  const curves = series.map(({ name, pick, color }) => {
    const values = line.map((point, i) => {
      const value = pick(point);
      if (!stacked) return value;
      base[i] += value;
      return base[i];
    });
    return { name, color, values };
  });
  const top = scaleOf(Math.max(0, ...curves.flatMap((curve) => curve.values.filter((v) => v !== null))));
  const y = (value) => 8 + h * (1 - value / top);
  const parts = [0, 0.5, 1].map((share) => [
    el("svg:line", { class: "rule", x1: left, x2: width - 6, y1: y(top * share), y2: y(top * share) }),
    el("svg:text", { x: left - 6, y: y(top * share) + 4, "text-anchor": "end" }, unit(top * share)),
  ]).flat();
  for (const [share, text] of [[0, `${span(axis(line) * step)} ago`], [1, "now"]]) parts.push(el("svg:text", { x: left + w * share, y: height - 4, "text-anchor": share ? "end" : "start" }, text));
  let floor = line.map(() => y(0));
  for (const [order, curve] of curves.entries()) {
    const points = curve.values.map((value, i) => (value === null ? null : [x(i).toFixed(1), y(value).toFixed(1)]));
    const path = points.map((p, i) => (p ? `${i && points[i - 1] ? "L" : "M"}${p[0]},${p[1]}` : "")).join("");
    if (stacked && length > 1) {
      const back = points.map((p, i) => `L${p[0]},${floor[i]}`).reverse().join("");
      parts.push(el("svg:path", { d: `${path}${back}Z`, fill: curve.color, "fill-opacity": order ? 0.95 : 0.3 }));
      floor = points.map((p) => p[1]);
    }
    if (path && !(stacked && order)) parts.push(el("svg:path", { d: path, fill: "none", stroke: curve.color, "stroke-width": 2, "stroke-linejoin": "round" }));
  }
  fill(place, el("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, preserveAspectRatio: "none" }, parts));
}

function spark(line, pick, color = "var(--c1)") {
  const values = line.map(pick).map((v) => v ?? 0);
  const top = Math.max(...values, 1e-9);
  const x = (i) => 200 - (values.length - 1 - i) * (200 / (axis(line) - 1));
  const points = values.map((v, i) => `${x(i).toFixed(1)},${(36 - 33 * (v / top)).toFixed(1)}`).join(" ");
  const area = `${x(0).toFixed(1)},37 ${points} 200,37`;
  return el("svg:svg", { class: "spark", viewBox: "0 0 200 37", preserveAspectRatio: "none", "aria-hidden": "true" },
    el("svg:polygon", { points: area, fill: color, "fill-opacity": 0.18 }), el("svg:polyline", { points, fill: "none", stroke: color, "stroke-width": 2, "vector-effect": "non-scaling-stroke" }));
}

// A style attribute is against the content policy; a property of a node is not.
function bar(share, name) { const node = el("i", { class: name }); node.style.width = `${Math.min(100, Math.max(0, share))}%`; return node; }

function meter(share, label, name = "") { return el("div", { class: "meter", role: "img", "aria-label": label }, bar(share * 100, name)); }

function tile(title, value, unit, foot, state = "") {
  return el("div", { class: `panel tile ${state}` }, el("h2", {}, title), el("div", { class: "value" }, value, " ", el("small", {}, unit || "")), typeof foot === "string" ? el("div", { class: "foot", title: foot }, foot) : foot);
}


// The first column names the row; a cell may be a node. Numbers stand to the right, columns of `texts` do not. Wide ones scroll by themselves.
function table(head, rows, empty, texts = []) {
  if (!rows.length) return el("p", { class: "soft" }, empty);
  const side = (i) => (texts.includes(head[i]) ? "t" : "n");
  const cells = (row) => row.map((cell, i) => el(i ? "td" : "th", i ? { class: side(i) } : { scope: "row" }, cell));
  return el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": `Table by ${head[0].toLowerCase()}` }, el("table", {}, el("thead", {}, el("tr", {}, head.map((name, i) => el("th", { scope: "col", class: i ? side(i) : "" }, name)))), el("tbody", {}, rows.map((row) => el("tr", {}, cells(row))))));
}
