"use strict";
// Text from outside goes into pages as text nodes only: nothing here ever sets HTML.

const $ = (selector, root = document) => root.querySelector(selector);

function el(name, attributes = {}, ...children) {
  const node = name.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

// The key lives in the session only: never in a URL, a cookie or another tab.
const KEY = "streamapp.key";
const key = {
  get: () => sessionStorage.getItem(KEY) || "",
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

class Refused extends Error {
  constructor(status, error) {
    super(error.message || `HTTP ${status}`);
    this.status = status;
    this.code = error.code || "";
  }
}

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}) }, sent = key.get();
  if (sent) headers.Authorization = `Bearer ${sent}`;
  if (options.json !== undefined) {
    headers["Content-Type"] = "application/json";
    options = { ...options, body: JSON.stringify(options.json) };
  }
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) {
    if (key.get() && key.get() !== sent) return ask(path, options); // the key was typed meanwhile
    askForKey();
  }
  throw new Refused(response.status, body.error || {});
}

// The events of a response, as {event, data}: EventSource cannot send a key.
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      let event = "message";
      const data = [];
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) event = line.slice(7);
        else if (line.startsWith("data: ")) data.push(line.slice(6));
      }
      if (data.length) yield { event, data: data.join("\n") };
    }
  }
}

let keyAsked = false;
function askForKey() {
  const dialog = $("#key-dialog");
  if (keyAsked || !dialog) return;
  keyAsked = true;
  $("#key-wrong").classList.toggle("hidden", !key.get());
  key.forget();
  dialog.showModal();
}

addEventListener("DOMContentLoaded", () => {
  const theme = sessionStorage.getItem("streamapp.theme");
  if (theme) document.documentElement.dataset.theme = theme;
  $("#theme")?.addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    sessionStorage.setItem("streamapp.theme", document.documentElement.dataset.theme);
    dispatchEvent(new Event("themechange"));
  });
  $("#key-form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    key.set($("#key-input").value.trim());
    $("#key-input").value = "";
    keyAsked = false;
    $("#key-dialog").close();
    dispatchEvent(new Event("keychange"));
  });
});
