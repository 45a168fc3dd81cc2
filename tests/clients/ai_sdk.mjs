// What Vercel's AI SDK gets from a worker; prints one JSON object.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  Output,
  embedMany,
  generateObject,
  generateText,
  stepCountIs,
  streamText,
  tool,
} from "ai";
import { z } from "zod";

const [baseURL, apiKey] = process.argv.slice(2);
const openai = createOpenAI({ baseURL, apiKey });
const compatible = createOpenAICompatible({
  name: "streamapp",
  baseURL,
  apiKey,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const prompt = "how is it, ai-sdk?";
const schema = z.object({ sky: z.string(), degrees: z.number().int() });
const weather = tool({
  description: "Tell the weather.",
  inputSchema: z.object({ place: z.string() }),
  // The fake provider repeats it as its answer: it has been told.
  execute: async () => '[[fake:{"text": "sunny for ai-sdk"}]]',
});
const stopWhen = stepCountIs(3);
const keys = (object) => Object.keys(object).sort();

const found = {};
for (const [name, model, vectors] of [
  ["chat", openai.chat("default"), openai.textEmbeddingModel("default")],
  ["responses", openai.responses("default"), null],
  ["compatible", compatible("default"), compatible.textEmbeddingModel("default")],
]) {
  // Else turns of before are named, not sent: nothing is stored here.
  const providerOptions = { openai: { store: false } };
  const ask = { model, prompt, maxRetries: 0, system: "Be kind.", providerOptions };
  const whole = await generateText(ask);
  const tools = await generateText({ ...ask, tools: { weather }, stopWhen });
  const streamed = streamText(ask);
  const pieces = [];
  for await (const piece of streamed.textStream) pieces.push(piece);
  const streamedTools = streamText({ ...ask, tools: { weather }, toolChoice: "auto", stopWhen });
  const object = streamText({ ...ask, output: Output.object({ schema }) });
  found[name] = {
    text: whole.text,
    tokens: whole.usage.totalTokens > 0,
    tools: [tools.text, tools.steps.length],
    stream: [pieces.join(""), (await streamed.usage).totalTokens > 0],
    streamedTools: [await streamedTools.text, (await streamedTools.steps).length],
    object: keys((await generateObject({ ...ask, schema })).object),
    streamedObject: keys(await object.output),
    failure: await generateText({ ...ask, model: modelOf(model, "nobody") }).then(
      () => null,
      (error) => [error.statusCode, error.data?.error.code],
    ),
  };
  if (vectors) {
    const { embeddings } = await embedMany({ model: vectors, values: ["a", "b"], maxRetries: 0 });
    found[name].embeddings = embeddings.map((one) => one.length);
  }
}
console.log(JSON.stringify(found));

function modelOf(model, id) {
  if (model.provider.startsWith("streamapp")) return compatible(id);
  return model.provider.endsWith("responses") ? openai.responses(id) : openai.chat(id);
}
