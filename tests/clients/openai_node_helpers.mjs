// What the helpers of the official Node client get from a worker; prints one JSON object.
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: process.argv[3], maxRetries: 0 });
const model = "default";
const input = "how is it, node?";
const messages = [{ role: "user", content: input }];
const Weather = z.object({ sky: z.string(), degrees: z.number().int() });
const parameters = {
  type: "object",
  properties: { place: { type: "string" } },
  required: ["place"],
};
const about = { name: "weather", description: "Tell the weather.", parameters };
// The fake provider repeats it as its answer: it has been told.
const weather = () => '[[fake:{"text": "sunny for node"}]]';
const tools = [{ type: "function", function: { ...about, function: weather, parse: JSON.parse } }];
const ask = { model, messages };

const runner = client.chat.completions.runTools({ ...ask, tools });
const streamedRunner = client.chat.completions.runTools({ ...ask, tools, stream: true });
const parsed = await client.chat.completions.parse({
  ...ask,
  response_format: zodResponseFormat(Weather, "weather"),
});
const stream = client.chat.completions.stream(ask);
const responseParsed = await client.responses.parse({
  model,
  input,
  text: { format: zodTextFormat(Weather, "weather") },
});
const responseStream = client.responses.stream({ model, input });

const flat = [{ type: "function", strict: false, ...about }];
const asked = await client.responses.create({ model, input, tools: flat });
const results = asked.output
  .filter((item) => item.type === "function_call")
  .map(({ call_id }) => ({ type: "function_call_output", call_id, output: weather() }));
const answered = await client.responses.create({
  model,
  input: [...messages, ...asked.output, ...results],
  tools: flat,
});
const vectors = await client.embeddings.create({ model, input: [[1, 2], [3]], dimensions: 4 });
let failure = null;
try {
  await client.chat.completions.create({ ...ask, store: true });
} catch (error) {
  failure = [error.status, error.code, error.param];
}
console.log(
  JSON.stringify({
    tools: await runner.finalContent(),
    streamedTools: await streamedRunner.finalContent(),
    parsed: Object.keys(parsed.choices[0].message.parsed).sort(),
    stream: await stream.finalContent(),
    responseParsed: Object.keys(responseParsed.output_parsed).sort(),
    responseStream: (await responseStream.finalResponse()).output_text,
    responseTools: answered.output_text,
    tokens: vectors.data.length,
    failure,
  }),
);
