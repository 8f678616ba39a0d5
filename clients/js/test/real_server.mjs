// Run by tests/clients/test_js_client.py with the URL of a real server: cut anywhere, resume, cancel, share.
import assert from "node:assert/strict";

import { WebSocket } from "ws";

import * as realtime from "../realtime-client.mjs";

const sockets = [];
class Watched extends WebSocket {
  constructor(...args) {
    super(...args);
    sockets.push(this);
  }
}

const [url, text] = process.argv.slice(2);
const options = { WebSocket: Watched, policy: { initialDelaySeconds: 0 } };
const rt = await realtime.connect(url, options);

const bare = ({ type, sequence_number, delta, done }) => ({ type, sequence_number, delta, done });
const whole = [];
for await (const event of await rt.create({ input: "hi" })) whole.push(bare(event));

for (let cut = 0; cut < whole.length; cut++) {
  const events = [];
  const response = await rt.create({ input: "hi", catch_up: "events" });
  for await (const event of response) {
    if (events.length === cut) sockets.at(-1).terminate();
    events.push(bare(event));
  }
  assert.deepEqual(events, whole, `cut ${cut}`);
  assert.equal((await response.result()).output_text, text);
}
assert.ok(sockets.length > whole.length / 2, "it must have been cut");

const viewed = await rt.create({ input: "hi" });
await viewed.result();
const caughtUp = [];
for await (const event of await rt.resume({ response_id: viewed.id })) caughtUp.push(event);
const merged = caughtUp.filter((event) => event.first_sequence_number !== undefined);
assert.deepEqual(merged.map(({ delta }) => delta), [text], "all deltas in one");
let next = 0;
for (const { first_sequence_number, sequence_number } of caughtUp) {
  assert.equal(first_sequence_number ?? sequence_number, next);
  next = sequence_number + 1;
}
assert.equal(next, whole.length);

const other = await realtime.connect(url, options);
const body = { input: "hi", request_id: "order-4711" };
const [first, second] = await Promise.all([rt.create(body), other.create(body)]);
assert.equal(first.id, second.id);
assert.equal((await first.result()).output_text, (await second.result()).output_text);

const long = await rt.create({ input: "endless" });
for await (const _ of long.text()) break;
const final = await long.cancel();
assert.equal(final.status, "cancelled");
assert.ok(final.cancel.tokens_generated > 0);

// complete long before it was heard: cut by a number, by an ack, and by characters
const spokenOf = text.slice(0, 6);
for (const cut of [
  (spoken) => spoken.cancel({ through: spoken.throughAt(6) }),
  (spoken) => (spoken.ack(spoken.throughAt(6)), spoken.cancel()),
  (spoken) => spoken.truncate({ numCharacters: 6 }),
]) {
  const spoken = await rt.create({ input: "hi" });
  for await (const _ of spoken.text());
  const left = await cut(spoken);
  assert.equal(left.status, "completed");
  assert.equal(left.output_text, spokenOf);
  assert.equal((await spoken.result()).output_text, left.output_text);
}
const unheard = await rt.create({ input: "hi" });
assert.equal((await unheard.truncate({ numCharacters: 0 })).output_text, "");
const late = await rt.create({ input: "hi" });
await late.result();
await assert.rejects(late.truncate({ numCharacters: 10 ** 6 }), realtime.CursorAhead);
await assert.rejects(late.truncate({ numCharacters: 1, itemId: "msg_x" }), realtime.ItemNotFound);

const steered = await rt.create({ input: "endless" });
for await (const _ of steered.text()) break;
assert.equal((await steered.steer("endless, but to the left")).id.startsWith("steer_"), true);
const successor = await steered.successor();
assert.equal((await steered.result()).incomplete_details.reason, "steered");
assert.equal(await steered.successor(), successor);
for await (const { response_id } of steered.chain()) if (response_id === successor.id) break;
const interrupted = await successor.interrupt();
assert.equal(interrupted.previous_response_id, steered.id);
assert.equal(interrupted.incomplete_details.reason, "interrupted");
await assert.rejects(successor.steer("too late"), (error) => error instanceof realtime.SteerFailed && error.input === "too late");
assert.equal(await successor.successor(), null);

const heard = await rt.create({ input: "endless", catch_up: "events" });
let words = "";
for await (const text of heard.text()) {
  words += text;
  break;
}
heard.ack();
for await (const _ of heard.text()) break;
const cut = await heard.cancel();
assert.equal(cut.output_text, words);
assert.equal(cut.cancel.through, heard.cursor.starting_after - 1);
assert.deepEqual(await rt.update({ heartbeatSeconds: 1 }), { heartbeat_seconds: 1 });
while (rt.heartbeat === null) await new Promise((resolve) => setTimeout(resolve, 20)); // it comes within a second
assert.equal(rt.heartbeat.engine, "ready");

await assert.rejects(other.resume({ response_id: long.id, starting_after: 10 ** 6 }), realtime.CursorAhead);

// over HTTP
const kept = await rt.responses.retrieve(late.id);
assert.deepEqual([kept.status, kept.output_text], ["completed", text]);
assert.equal(await rt.responses.countInputTokens({ input: "hi" }), kept.usage.input_tokens);
const tagged = await Promise.all([1, 2, 3].map((n) => rt.create({ input: "hi", metadata: { tag: "t", n: `${n}` } })));
await Promise.all(tagged.map((response) => response.result()));
const listed = [];
for await (const { id } of rt.responses.all({ metadata: { tag: "t" }, limit: 2 })) listed.push(id);
assert.deepEqual(new Set(listed), new Set(tagged.map(({ id }) => id)));
assert.equal((await rt.responses.truncate(tagged[0].id, { through: -1 })).output_text, "");
await rt.responses.delete(tagged[1].id);
await assert.rejects(rt.responses.retrieve(tagged[1].id), realtime.ResponseNotFound);
const conversation = await rt.conversations.create({ metadata: { topic: "a" } });
await (await rt.create({ input: "hi", conversation: conversation.id })).result();
const roles = [];
for await (const { role } of rt.conversations.allItems(conversation.id, { order: "asc", limit: 1 })) roles.push(role);
assert.deepEqual(roles, ["user", "assistant"]);
const fork = await rt.conversations.fork(conversation.id);
assert.deepEqual((await rt.conversations.list({ metadata: { topic: "a" } })).data.map(({ id }) => id), [fork.id, conversation.id]);
assert.equal((await rt.conversations.delete(fork.id)).deleted, true);
await assert.rejects(rt.conversations.addItems("conv_none", []), realtime.ServerError);

rt.close();
other.close();
