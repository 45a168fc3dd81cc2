// The playground: one record, answered now or through the topic.

const EXAMPLES = {
  summarize: { type: "summarize", text: "Kafka keeps records in a log. Consumers read it at their own pace, and may read it again.", max_words: 12 },
  chat: { type: "chat", messages: [{ role: "user", content: "Say hello in one short sentence." }] },
  classify: { type: "classify", text: "My parcel has not arrived.", labels: ["delivery", "refund", "praise"] },
  extract: { type: "extract", text: "Name: Ada Lovelace, born 1815.", schema: { type: "object", properties: { name: { type: "string" }, born: { type: "integer" } }, required: ["name", "born"], additionalProperties: false } },
  translate: { type: "translate", text: "Good morning", target_language: "German" },
  generate: { type: "generate", prompt: "answer@production", variables: { question: "What is a topic?" } },
  embed: { type: "embed", input: ["one text", "another text"] },
};

function setState(kind, text) { const tag = $("#play-state"); tag.className = `tag ${kind}`; tag.textContent = text; }
const asText = (output) => (typeof output === "string" ? output : JSON.stringify(output, null, 2));

function showResponse(response, started) {
  if (response.status === "ok") {
    setState("good", "answered");
    $("#play-answer").textContent = asText(response.output);
    const prompt = response.prompt ? `${response.prompt.name}:${response.prompt.version}` : "none";
    const facts = { Provider: `${response.provider}/${response.model}`, Prompt: prompt, Tokens: `${response.usage.input_tokens} in, ${response.usage.output_tokens} out`, Cost: response.cost_usd === null ? "unknown" : dollars(Number(response.cost_usd)), "Active time": seconds(response.duration_s), "Round trip": seconds((performance.now() - started) / 1000), Attempts: String(response.attempts), Cached: response.cached ? "yes" : "no", Id: response.id };
    fill($("#play-facts"), Object.entries(facts).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  } else {
    setState(response.status === "dead" ? "bad" : "warn", response.status === "dead" ? `dead letter: ${response.kind}` : response.status);
    $("#play-answer").textContent = JSON.stringify(response, null, 2);
  }
}

async function play(path, change) {
  const started = performance.now();
  fill($("#play-facts"));
  $("#play-answer").textContent = "";
  setState("", "asking…");
  try {
    const record = change(JSON.parse($("#play-body").value));
    const response = await ask(path, { method: "POST", json: record });
    if (!(response.headers.get("Content-Type") || "").startsWith("text/event-stream")) return showResponse(await response.json(), started);
    for await (const { event, data } of eventsOf(response)) {
      const body = JSON.parse(data);
      if (event === "piece") $("#play-answer").textContent += body.text;
      else if (event === "response") showResponse(body, started);
      else if (event === "error") throw new Refused(0, body.error);
    }
  } catch (error) {
    setState("bad", error.code || "error");
    $("#play-answer").textContent = error.message;
  }
}

// A record that runs one version of a prompt: an example of its type, or its variables to fill in.
function tryPrompt(prompt, version) {
  const reference = `${prompt.name}:${version.version}`;
  const names = [...new Set([...version.body.matchAll(/{{-?\s*([a-z_]\w*)/gi)].map((match) => match[1]))];
  const example = EXAMPLES[prompt.name] ? { ...EXAMPLES[prompt.name], prompt: reference } : { type: "generate", prompt: reference, variables: Object.fromEntries(names.map((name) => [name, ""])) };
  open("play");
  $("#play-body").value = JSON.stringify(example, null, 2);
  $("#play-body").focus();
}
