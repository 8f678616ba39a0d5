// Run by tests/clients/test_js_pages.py with the URL of a real server: the loop that calls functions for the model.
import assert from "node:assert/strict";

import { WebSocket } from "ws";
import { z } from "zod";

import { ToolLoopTooLong, connect, tool } from "../realtime-client.mjs";

const [url, , long] = process.argv.slice(2);
const rt = await connect(url, { WebSocket });
const Place = z.strictObject({ city: z.string() });
const signals = [];

/** The tool that the model of this server calls, doing this. */
function weather(run, parse = (given) => Place.parse(given)) {
  const watched = (given, { signal }) => {
    signals.push(signal);
    return run(given, { signal });
  };
  return tool({ name: "get_weather", description: "Say how it is.", parameters: z.toJSONSchema(Place), parse, run: watched });
}

const never = () => new Promise(() => {});
const toldIn = async ({ id }) => (await rt.responses.inputItems(id)).data.find(({ type }) => type === "function_call_output").output;

// the loop calls, and goes on until there is an answer
const seen = [];
const given = [];
const clear = weather(async ({ city }) => (given.push(city), { sky: "clear" }));
const final = await rt.run("weather?", { tools: [clear], tool_choice: "required", onEvent: ({ type }) => seen.push(type) });
assert.equal(final.output_text, long);
assert.deepEqual(given, ["Paris"]);
assert.equal(seen.filter((type) => type === "response.completed").length, 2);
assert.equal(final.tool_choice, "auto");
assert.equal(final.tools[0].description, "Say how it is.");
assert.equal(signals.pop().aborted, false);

// a conversation holds the turns
const { id: conversation } = await rt.conversations.create();
await rt.run("weather?", { tools: [clear], conversation });
const { data } = await rt.conversations.items(conversation, { order: "asc" });
assert.deepEqual(data.map(({ type }) => type), ["message", "function_call", "function_call_output", "message"]);

// the model is told what goes wrong
const raises = () => {
  throw new RangeError("no clear city");
};
assert.equal(await toldIn(await rt.run("weather?", { tools: [weather(raises)] })), "error: RangeError: no clear city");
const wrong = weather(never, () => raises());
assert.equal(await toldIn(await rt.run("weather?", { tools: [wrong] })), "error: RangeError: no clear city");
assert.equal(await toldIn(await rt.run("weather?", { tools: [weather(() => "clear")] })), "clear");

// a function that takes too long is told to stop, and a loop ends
await assert.rejects(rt.run("weather?", { tools: [weather(never)], toolTimeoutSeconds: 0.01, maxTurns: 2 }), ToolLoopTooLong);
assert.deepEqual(signals.splice(-2).map(({ aborted, reason }) => [aborted, reason.name]), Array(2).fill([true, "TimeoutError"]));

// a call of what is not here ends the loop
const other = { ...weather(never), name: "get_time" };
const ended = await rt.run("weather?", { tools: [other] });
assert.ok(["function_call", "message"].includes(ended.output[0].type));

// an abort stops the functions, and the response
for (const [input, aborts] of [["weather?", "in the tool"], ["endless", "in the answer"]]) {
  const controller = new AbortController();
  const run = () => (controller.abort(new Error(aborts)), never());
  const onEvent = ({ type }) => input === "endless" && type.endsWith("delta") && controller.abort(new Error(aborts));
  await assert.rejects(rt.run(input, { tools: [weather(run)], signal: controller.signal, onEvent }), { message: aborts });
}
assert.equal(signals.at(-1).reason.message, "in the tool");
await assert.rejects(rt.run("endless", { tools: [clear], onEvent: raises }), RangeError); // and so does a throw
rt.close();
