// The shell, against a server that speaks this wire and cuts at every message.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import { WebSocket } from "ws";

import * as realtime from "../realtime-client.mjs";
import { ALL, FakeServer, QUICK, numbers, start } from "./fake_server.mjs";
import { fakePage } from "./page.mjs";

for (const closeCode of [null, 1001, 1012]) {
  test(`a cut at any message does not show (close code ${closeCode})`, async (t) => {
    for (let cut = 1; cut <= 13; cut++) {
      const { server, rt } = await start(t, { cuts: [cut], closeCode });
      const response = await rt.create({ input: "hi" });
      assert.deepEqual(await numbers(response), ALL, `cut ${cut}`);
      assert.equal((await response.result()).output_text, "Hello, 日本.");
      assert.equal(server.logs.size, 1, "it must run once");
    }
  });
}

test("cuts after every event", async (t) => {
  const { rt } = await start(t, { cuts: [2, ...Array(9).fill(3)] });
  let text = "";
  for await (const delta of (await rt.create({ input: "hi" })).text()) text += delta;
  assert.equal(text, "Hello, 日本.");
});

test("many responses on one socket that is cut", async (t) => {
  const { server, rt } = await start(t, { cuts: [20, 30, 40, 50] });
  const whole = async (input) => numbers(await rt.create({ input }));
  for (const got of await Promise.all(ALL.map((n) => whole(`${n}`)))) assert.deepEqual(got, ALL);
  assert.equal(server.logs.size, 11);
});

test("a close code that forbids it is not reconnected", async (t) => {
  const { rt } = await start(t, { cuts: [6], closeCode: 1008 });
  const response = await rt.create({ input: "hi" });
  await assert.rejects(numbers(response), (error) => error instanceof realtime.ConnectionLost && error.code === 1008);
  assert.deepEqual(await numbers(await rt.resume(response.cursor)), ALL.slice(5));
});

test("cancel returns the receipt, and the events stay readable", async (t) => {
  const { rt } = await start(t, { holdAt: 5 });
  const response = await rt.create({ input: "hi" });
  const final = await response.cancel();
  assert.deepEqual([final.status, final.cancel], ["cancelled", { tokens_generated: 5 }]);
  assert.deepEqual(await numbers(response), [0, 1, 2, 3, 4, 5]);
});

test("an abort cancels", async (t) => {
  const { server, rt } = await start(t, { holdAt: 5 });
  const controller = new AbortController();
  const response = await rt.create({ input: "hi" }, { signal: controller.signal });
  controller.abort();
  assert.deepEqual(await numbers(response), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(server.types, ["response.create", "response.cancel"]);
});

test("an abort before the confirmation rejects, and the response is cancelled", async (t) => {
  const { server, rt } = await start(t, { holdAt: 5 });
  const controller = new AbortController();
  const creating = rt.create({ input: "hi" }, { signal: controller.signal });
  controller.abort(new Error("changed my mind"));
  await assert.rejects(creating, /changed my mind/);
  await (await rt.create({ input: "again" })).cancel();
  assert.deepEqual(server.types.slice(2, 4), ["response.cancel", "response.detach"]);
});

test("breaking out loses nothing", async (t) => {
  const { rt } = await start(t);
  const response = await rt.create({ input: "hi" });
  for await (const event of response) if (event.sequence_number === 4) break;
  assert.deepEqual(response.cursor, { response_id: "r0", starting_after: 4, epoch: "e1" });
  assert.deepEqual(await numbers(response), ALL.slice(5));
});

test("detach, and resume in another client", async (t) => {
  const { rt, url } = await start(t, { holdAt: 5 });
  const response = await rt.create({ input: "hi" });
  await response.next();
  const cursor = response.detach();
  await assert.rejects(response.result(), realtime.Detached);
  const other = await realtime.connect(url, { WebSocket });
  t.after(() => other.close());
  const resumed = await other.resume(cursor);
  await resumed.cancel();
  assert.deepEqual(await numbers(resumed), [1, 2, 3, 4, 5]);
});

test("an unread response is paused and fetched later", async (t) => {
  const { server, rt } = await start(t, { padding: "x".repeat(8000) }, { maxBufferLength: 20_000 });
  const slow = await rt.create({ input: "slow" });
  assert.deepEqual(await numbers(await rt.create({ input: "quick" })), ALL);
  assert.ok(server.types.includes("response.detach"));
  assert.deepEqual(await numbers(slow), ALL);
});

test("refusals are typed", async (t) => {
  const { rt } = await start(t);
  await assert.rejects(rt.resume({ response_id: "r9" }), realtime.ResponseNotFound);
});

test("the key, or a ticket, is a sub-protocol", async (t) => {
  const server = new FakeServer();
  const url = await server.listen(t);
  (await realtime.connect(url, { WebSocket, apiKey: "secret" })).close();
  (await realtime.connect(url, { WebSocket, ticket: "tk_a.b" })).close();
  assert.deepEqual(server.protocols, [
    ["realtime.v1", "openai-insecure-api-key.secret"],
    ["realtime.v1", "realtime-ticket.tk_a.b"],
  ]);
});

test("the first connection fails at once", async (t) => {
  const server = new FakeServer();
  const url = await server.listen(t);
  server.stop();
  await assert.rejects(realtime.connect(url, { WebSocket }), realtime.ConnectionLost);
});

test("a server that promised heartbeats and is silent is left", async (t) => {
  const { server, rt } = await start(t, { holdAt: 5, beatSeconds: 0.02 }, { heartbeatSeconds: 1 });
  const response = await rt.create({ input: "hi" });
  await once(server.server, "connection");
  server.beatSeconds = 60;
  await response.cancel();
  assert.deepEqual(await numbers(response), [0, 1, 2, 3, 4, 5]);
});

test("a new key holds for the next connection, too", async (t) => {
  const server = new FakeServer({ holdAt: 5, beatSeconds: 7 });
  const url = await server.listen(t);
  const rt = await realtime.connect(url, { WebSocket, apiKey: "old", policy: QUICK });
  t.after(() => rt.close());
  const response = await rt.create({ input: "hi" });
  assert.deepEqual(await rt.update({ apiKey: "new" }), { heartbeat_seconds: 7 });
  for (const socket of server.server.clients) socket.terminate();
  await response.cancel();
  assert.deepEqual(server.protocols.map(([, key]) => key.split(".")[1]), ["old", "new"]);
});

test("what has not come can't be acknowledged", async (t) => {
  const { server, rt } = await start(t, { holdAt: 5 });
  const response = await rt.create({ input: "hi" });
  for (let n = 0; n < 3; n++) await response.next();
  response.ack();
  assert.throws(() => response.ack(5), RangeError);
  await assert.rejects(response.cancel({ through: 5 }), RangeError);
  await response.cancel();
  assert.equal(server.frames.at(-1).through, 2);
});

test("what can't be a policy is refused", () => {
  for (const policy of [{ heartbeatSeconds: 0.5 }, { maxMissedHeartbeats: 0 }]) {
    assert.throws(() => new realtime.Session(policy, "test"), RangeError);
  }
});

test("closing ends what is open", async (t) => {
  const { rt } = await start(t, { holdAt: 5 });
  const response = await rt.create({ input: "hi" });
  rt.close();
  await assert.rejects(response.result(), realtime.ClientClosed);
  await assert.rejects(rt.create({ input: "hi" }), realtime.ClientClosed);
  await assert.rejects(response.truncate({ through: -1 }), realtime.ClientClosed);
  await assert.rejects(response.steer("more"), realtime.ClientClosed);
});

test("a page that comes back finds its dead socket and resumes", async (t) => {
  const page = fakePage(t);
  // probeSeconds 0.05: how long the dead socket may take to answer; nothing is asserted about it
  const { server, rt } = await start(t, { holdAt: 5 }, { probeSeconds: 0.05 });
  const response = await rt.create({ input: "hi" });
  for (let n = 0; n < 5; n++) await response.next();
  for (const socket of server.server.clients) socket.removeAllListeners("message"); // open, and deaf
  page.window("pageshow");
  await once(server.server, "connection");
  await response.cancel();
  assert.deepEqual(await numbers(response), [5]);
  page.document("visibilitychange");
  page.window("online");
});

/** A server that refuses every handshake so. */
async function refusing(t, status, body) {
  const server = createServer();
  server.on("upgrade", (_, socket) => socket.end(`HTTP/1.1 ${status} No\r\nconnection: close\r\n\r\n${body}`));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `ws://127.0.0.1:${server.address().port}/v1/responses`;
}

const body = JSON.stringify({ error: { code: "invalid_api_key", message: "No such key." } });
for (const [status, retry, text] of [
  [401, false, /HTTP 401: invalid_api_key: No such key\./],
  [404, false, /there is nothing at ws:.*\/v1\/responses; the URL of a server looks like/],
  [503, true, /HTTP 503/],
]) {
  test(`a handshake that is answered ${status} says why`, async (t) => {
    const url = await refusing(t, status, body);
    await assert.rejects(realtime.connect(url, { WebSocket }), (error) => {
      assert.ok(error instanceof realtime.ConnectionLost);
      assert.deepEqual([error.status, error.retry], [status, retry]);
      assert.match(error.message, text);
      return true;
    });
  });
}

test("nobody listening is told apart from a refusal", async (t) => {
  const url = await refusing(t, 503, "").then((url) => url.replace(/:\d+/, ":1"));
  await assert.rejects(realtime.connect(url, { WebSocket }), { status: null, message: /ECONNREFUSED/ });
});

test("where the platform does not say why, the error says what it may be", async () => {
  class Silent {
    constructor(url) {
      this.url = url;
      queueMicrotask(() => (this.onerror({}), this.onclose({ code: 1006, reason: "" })));
    }
    close() {}
  }
  await assert.rejects(realtime.connect("ws://host/v1/responses", { WebSocket: Silent }), /nobody listens.*key/);
});

test("what is no URL of a WebSocket is said to be none", async () => {
  for (const url of ["http://127.0.0.1:8000/v1/responses", "localhost:8000", "127.0.0.1"]) {
    await assert.rejects(realtime.connect(url, { WebSocket }), { retry: false, message: /looks like ws:/ });
  }
});
