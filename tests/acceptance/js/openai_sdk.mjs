// OpenAI's SDK for JavaScript, unmodified, over both doors of a running server: node openai_sdk.mjs BASE_URL
// Says `ok NAME` for each part; ends with an exception at the first thing that is wrong.

import assert from "node:assert/strict";
import { once } from "node:events";
import OpenAI from "openai";
import { ResponsesWebSocketSession } from "openai/lib/responses/responses-websocket-session";
import { ResponsesWS } from "openai/resources/responses/ws";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "unused", maxRetries: 0 });
const base = { model: "starter", temperature: 0 };
const story = { ...base, input: "Tell me a long story", max_output_tokens: 300, ignore_eos: true };
const limits = { maxLanes: 8, maxBufferedEvents: 10_000, maxBufferedBytes: 16 * 1024 * 1024 };
const weather = {
  type: "function",
  name: "get_weather",
  description: "The weather at a place now",
  strict: true,
  parameters: {
    type: "object",
    properties: { location: { type: "string", description: "City and country" } },
    required: ["location"],
    additionalProperties: false,
  },
};

const deltas = (events) =>
  events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta).join("");
const numbers = (events) => events.map((event) => event.sequence_number);
const counted = (from, count) => Array.from({ length: count }, (_, index) => from + index);
const statusOf = (promise) => promise.then(() => assert.fail("it was not refused"), (error) => error.status);

async function connected() {
  const ws = new ResponsesWS(client);
  await once(ws.socket, "open");
  return ws;
}

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const parts = {
  async "socket: turns that are not stored"() {
    const ws = await connected();
    const lane = new ResponsesWebSocketSession(ws, limits).lane();
    lane.create({ ...base, input: "My name is Ada.", store: false });
    const first = await lane.finalResponse();
    lane.create({ ...base, input: "What is my name?", store: false, previous_response_id: first.id });
    const second = await lane.finalResponse();
    assert.match(second.output_text, /Ada/);
    assert.equal(second.previous_response_id, first.id);
    ws.close();
  },

  async "socket: a refusal, and a turn after it"() {
    const ws = new ResponsesWS(client);
    const seen = [];
    ws.send({ type: "response.create", ...base, input: "hi", previous_response_id: "resp_that_never_was" });
    for await (const one of ws.stream()) {
      if (one.type === "error") {
        seen.push(one.error.error.error.code);
        ws.send({ type: "response.create", ...base, input: "count to 5" });
      }
      if (one.type === "message" && one.message.done) {
        seen.push(one.message.type);
        break;
      }
    }
    ws.close();
    assert.deepEqual(seen, ["previous_response_not_found", "response.completed"]);
  },

  async "socket: events are numbered and make up the answer"() {
    const ws = new ResponsesWS(client);
    const events = [];
    ws.send({ type: "response.create", ...base, input: "count to 5" });
    for await (const one of ws.stream()) {
      if (one.type === "error") throw one.error;
      if (one.type !== "message") continue;
      events.push(one.message);
      if (one.message.done) break;
    }
    ws.close();
    assert.deepEqual(numbers(events), counted(0, events.length));
    assert.equal(events.at(-1).type, "response.completed");
    assert.equal(deltas(events), "1, 2, 3, 4, 5.");
  },

  async "socket: lanes beside each other"() {
    const ws = await connected();
    const session = new ResponsesWebSocketSession(ws, limits);
    const lanes = [undefined, "a", "b"].map((name) => session.lane(name));
    for (const lane of lanes) lane.create({ ...base, input: "count to 5" });
    const answers = await Promise.all(lanes.map((lane) => lane.finalResponse()));
    assert.deepEqual(answers.map((answer) => answer.output_text), Array(3).fill("1, 2, 3, 4, 5."));
    session.close();
    ws.close();
  },

  async "socket: a steer, and the answer of its successor"() {
    const ws = new ResponsesWS(client);
    const kinds = [];
    let [first, last] = [];
    ws.send({ type: "response.create", ...story });
    for await (const one of ws.stream()) {
      if (one.type === "error") throw one.error;
      if (one.type !== "message") continue;
      const { message } = one;
      first ??= message.response;
      if (message.type === "response.output_text.delta" && !kinds.includes(message.type)) {
        ws.send({ type: "response.steer", previous_response_id: first.id, input: "Stop. Say hello." });
      }
      kinds.push(message.type);
      if (message.response && message.response.id !== first.id && message.done) {
        last = message.response;
        break;
      }
    }
    ws.close();
    assert.ok(kinds.includes("response.steer.accepted"));
    assert.equal(last.previous_response_id, first.id);
  },

  async "http: create, retrieve, input items, count, delete"() {
    const made = await client.responses.create({ ...base, input: "count to 5" });
    assert.equal(made.output_text, "1, 2, 3, 4, 5.");
    const again = await client.responses.retrieve(made.id);
    assert.deepEqual(again.output, made.output);
    const items = await all(client.responses.inputItems.list(made.id));
    assert.deepEqual(items.map((item) => item.type), ["message"]);
    const count = await client.responses.inputTokens.count({ model: "starter", input: "count to 5" });
    assert.equal(count.input_tokens, made.usage.input_tokens);
    await client.responses.delete(made.id);
    assert.equal(await statusOf(client.responses.retrieve(made.id)), 404);
  },

  async "http: a stream, and the same one again from the middle"() {
    const events = await all(await client.responses.create({ ...base, input: "count to 5", stream: true }));
    assert.deepEqual(numbers(events), counted(0, events.length));
    assert.equal(deltas(events), "1, 2, 3, 4, 5.");
    const { id } = events[0].response;
    const rest = await all(await client.responses.retrieve(id, { stream: true, starting_after: 4 }));
    assert.deepEqual(rest, events.slice(5));
    const helper = client.responses.stream({ ...base, input: "count to 5" });
    const texts = [];
    helper.on("response.output_text.delta", (event) => texts.push(event.snapshot));
    assert.equal((await helper.finalResponse()).output_text, texts.at(-1));
  },

  async "http: a call and its result"() {
    const asked = { ...base, input: "What's the weather like in Paris?", tools: [weather] };
    const called = await client.responses.stream(asked).finalResponse();
    const call = called.output.find((item) => item.type === "function_call");
    assert.match(JSON.parse(call.arguments).location, /Paris/);
    const output = [{ type: "function_call_output", call_id: call.call_id, output: "sunny, 21 degrees" }];
    const next = { ...base, tools: [weather], previous_response_id: called.id, input: output };
    assert.match((await client.responses.create(next)).output_text, /sunny/);
  },

  async "http: a cancel in the background, and one of what has ended"() {
    const made = await client.responses.create({ ...story, max_output_tokens: 2000, background: true });
    assert.ok(["queued", "in_progress"].includes(made.status));
    const cancelled = await client.responses.cancel(made.id);
    assert.equal(cancelled.status, "cancelled");
    assert.equal((await client.responses.retrieve(made.id)).status, "cancelled");
    const over = await client.responses.create({ ...base, input: "hi" });
    assert.equal(await statusOf(client.responses.cancel(over.id)), 409);
  },

  async "http: a background stream that is dropped and taken up again"() {
    const stream = await client.responses.create({ ...story, background: true, stream: true });
    const got = [];
    for await (const event of stream) if (got.push(event) === 20) break;
    const { id } = got[0].response;
    const rest = await all(await client.responses.retrieve(id, { stream: true, starting_after: 19 }));
    assert.deepEqual(numbers([...got, ...rest]), counted(0, got.length + rest.length));
    const final = await client.responses.stream({ response_id: id, starting_after: 19 }).finalResponse();
    assert.equal(final.usage.output_tokens, 300);
    assert.equal(deltas([...got, ...rest]), final.output_text);
  },

  async "http: a compaction begins a new chain"() {
    const input = [
      { role: "user", content: "My name is Ada." },
      { role: "assistant", content: "Nice to meet you, Ada." },
    ];
    const { output } = await client.responses.compact({ model: "starter", input });
    assert.equal(output.at(-1).type, "compaction");
    const begun = { ...base, input: [...output, { role: "user", content: "Say hello." }] };
    const next = await client.responses.create(begun);
    assert.equal(next.status, "completed");
  },

  async "http: what is refused"() {
    const refused = await client.responses.create({ ...base, temperature: 9, input: "hi" }).catch((error) => error);
    assert.ok(refused instanceof OpenAI.BadRequestError);
    assert.deepEqual([refused.code, refused.param], ["invalid_request", "temperature"]);
    assert.equal(await statusOf(client.responses.retrieve("resp_that_never_was")), 404);
  },
};

for (const [name, part] of Object.entries(parts)) {
  await part();
  console.log(`ok ${name}`);
}
