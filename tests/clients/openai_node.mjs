// What the official Node client gets from a worker; prints one JSON object.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: process.argv[3], maxRetries: 0 });
const messages = [{ role: "user", content: "hi" }];

const whole = await client.chat.completions.create({ model: "default", messages });
const next = await client.chat.completions.create({
  model: "default",
  messages: [...messages, whole.choices[0].message, ...messages],
});
const pieces = [];
let usage = null;
const stream = await client.chat.completions.create({
  model: "default",
  messages,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  if (chunk.choices.length) pieces.push(chunk.choices[0].delta.content ?? "");
  usage = chunk.usage ?? usage;
}
const vectors = await client.embeddings.create({ model: "default", input: ["a", "b"] });
const models = [];
for await (const model of client.models.list()) models.push(model.id);
const response = await client.responses.create({ model: "default", input: "hi" });
const deltas = [];
let last = null;
for await (const event of await client.responses.create({
  model: "default",
  input: "hi",
  stream: true,
})) {
  if (event.type === "response.output_text.delta") deltas.push(event.delta);
  last = event;
}
const completion = await client.completions.create({ model: "default", prompt: "hi" });
let failure = null;
try {
  await client.chat.completions.create({ model: "nobody", messages });
} catch (error) {
  failure = { name: error.constructor.name, status: error.status, code: error.code };
}
console.log(
  JSON.stringify({
    text: whole.choices[0].message.content,
    next: next.choices[0].message.content,
    streamed: pieces.join(""),
    usage,
    vectors: vectors.data.map((item) => Array.from(item.embedding)),
    models,
    response: {
      text: response.output_text,
      streamed: deltas.join(""),
      status: last.response.status,
    },
    completion: completion.choices[0].text,
    failure,
  }),
);
