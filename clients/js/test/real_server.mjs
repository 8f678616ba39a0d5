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
  const response = await rt.create({ input: "hi" });
  for await (const event of response) {
    if (events.length === cut) sockets.at(-1).terminate();
    events.push(bare(event));
  }
  assert.deepEqual(events, whole, `cut ${cut}`);
  assert.equal((await response.result()).output_text, text);
}
assert.ok(sockets.length > whole.length / 2, "it must have been cut");

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
await assert.rejects(other.resume({ response_id: long.id, starting_after: 10 ** 6 }), realtime.CursorAhead);

rt.close();
other.close();
