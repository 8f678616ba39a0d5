// An answer streamed over one base URL, and the same one read again over another: node same_stream.mjs URL OTHER_URL
// Says the answer's text as JSON; ends with an exception if the two differ.

import assert from "node:assert/strict";
import OpenAI from "openai";

const [first, second] = process.argv.slice(2).map((baseURL) => new OpenAI({ baseURL, apiKey: "x", maxRetries: 0 }));

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const events = await all(await first.responses.create({ model: "starter", input: "Tell me a story", stream: true }));
const last = events.at(-1);
assert.equal(last.type, "response.completed");
assert.deepEqual(await all(await second.responses.retrieve(last.response.id, { stream: true })), events);
console.log(JSON.stringify(events.filter((event) => event.type.endsWith("text.delta")).map((event) => event.delta).join("")));
