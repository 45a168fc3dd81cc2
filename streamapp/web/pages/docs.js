function schemaText(schema, components, depth = 0) {
  if (!schema || typeof schema !== "object") return "any";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return depth > 1 ? name : schemaText(components[name], components, depth + 1);
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const several = schema.anyOf || schema.oneOf;
  if (several) return several.map((one) => schemaText(one, components, depth + (schema.oneOf ? 0 : 1))).join(" | ");
  if (schema.type === "array") return `[${schemaText(schema.items, components, depth + 1)}]`;
  if (schema.properties) {
    const indent = "  ".repeat(depth + 1);
    const required = new Set(schema.required || []);
    const lines = Object.entries(schema.properties).map(([name, value]) =>
      `${indent}${name}${required.has(name) ? "" : "?"}: ${schemaText(value, components, depth + 1)}`);
    return `{\n${lines.join("\n")}\n${"  ".repeat(depth)}}`;
  }
  return schema.type || "any";
}

function operation(method, path, op, components) {
  const parts = [];
  if (op.parameters) {
    parts.push(el("table", {}, el("tbody", {}, op.parameters.map((p) =>
      el("tr", {}, el("th", { scope: "row" }, el("code", {}, p.name)), el("td", {}, p.in), el("td", {}, p.schema.description || schemaText(p.schema, components)))))));
  }
  for (const [type, content] of Object.entries(op.requestBody?.content || {})) {
    parts.push(el("h3", {}, "Body ", el("span", { class: "soft" }, type)), el("pre", { tabindex: 0 }, schemaText(content.schema, components)));
  }
  parts.push(el("h3", {}, "Answers"), el("table", {}, el("tbody", {}, Object.entries(op.responses).map(([status, response]) =>
    el("tr", {}, el("th", { scope: "row" }, status), el("td", {}, response.description),
      el("td", {}, el("span", { class: "soft mono" }, Object.keys(response.content || {}).join(", "))))))));
  return el("details", {}, el("summary", {}, el("span", { class: "method" }, method.toUpperCase()), el("span", { class: "path" }, path), el("span", { class: "soft" }, op.summary)),
    el("div", { class: "body" }, parts));
}

async function show() {
  try {
    const doc = await (await ask("/openapi.json")).json();
    const byTag = new Map();
    for (const [path, methods] of Object.entries(doc.paths)) {
      for (const [method, op] of Object.entries(methods)) {
        const tag = op.tags[0];
        if (!byTag.has(tag)) byTag.set(tag, []);
        byTag.get(tag).push(operation(method, path, op, doc.components.schemas));
      }
    }
    fill($("#operations"), [...byTag].map(([tag, list]) => el("section", { "aria-label": tag }, el("h2", {}, tag), list)));
  } catch (error) {
    fill($("#operations"), el("p", { class: "bad", role: "alert" }, error.message));
  }
}

addEventListener("DOMContentLoaded", show);
addEventListener("keychange", show);
