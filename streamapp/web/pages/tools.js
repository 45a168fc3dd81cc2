// Tools: what models may call, and the MCP servers that some of it comes from.

const NO_TOOLS = "No tools: name modules with @tool coroutines in STREAMAPP_TOOLS, or an MCP server in the file ([mcp.NAME]).";

function showTool(tool) {
  const required = Array.isArray(tool.parameters.required) ? tool.parameters.required : [];
  const names = Object.keys(tool.parameters.properties || {}).map((name) => (required.includes(name) ? name : `${name}?`));
  return el("article", { class: "row tool" },
    el("span", { class: "id" }, tool.name),
    el("span", { class: "meta" }, `${tool.source} · ${number(tool.timeout_s)} s at most`),
    el("span", { class: "text" }, tool.description || "(no description)"),
    el("details", { class: "whole" }, el("summary", {}, names.length ? `arguments: ${names.join(", ")}` : "no arguments"),
      el("pre", { tabindex: 0, "aria-label": `Schema of ${tool.name}` }, JSON.stringify(tool.parameters, null, 2))));
}

async function loadTools() {
  try {
    const { tools, servers } = await (await ask("/v1/tools")).json();
    fill($("#tool-servers"), servers.map((s) => el("span", { class: `tag ${s.state === "connected" ? "good" : "bad"}` }, `mcp.${s.name}: ${s.state}, ${counted(s.tools, "tool")}`)));
    fill($("#tool-list"), tools.map(showTool));
    $("#tool-note").className = "soft";
    $("#tool-note").textContent = tools.length || servers.length ? "" : NO_TOOLS;
  } catch (error) { $("#tool-note").className = "bad"; $("#tool-note").textContent = error.message; }
}
