// The connection: its states, what it costs to open one, the key of each handshake, the page's life.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";

import { WebSocket } from "ws";

import * as realtime from "../realtime-client.mjs";
import { ALL, FakeServer, QUICK, numbers, start } from "./fake_server.mjs";
import * as onNode from "../src/node.mjs";
import { fakePage } from "./page.mjs";

/** The states that a client goes through from here on. */
function watched(rt) {
  const states = [rt.state];
  rt.addEventListener("statechange", () => states.push(rt.state));
  return states;
}

test("a client says how it stands with the server", async (t) => {
  const server = new FakeServer({ cuts: [3] });
  const url = await server.listen(t);
  const rt = new realtime.RealtimeClient(url, { WebSocket, policy: QUICK });
  const states = watched(rt);
  await rt.opened;
  assert.deepEqual(await numbers(await rt.create({ input: "hi" })), ALL);
  rt.close();
  assert.deepEqual(states, ["connecting", "open", "reconnecting", "open", "closed"]);
});

test("without anything open a lost socket is not mourned, and a request opens another", async (t) => {
  const { server, rt } = await start(t);
  const states = watched(rt);
  for (const socket of server.server.clients) socket.terminate();
  await once(rt, "statechange");
  await (await rt.create({ input: "hi" })).result();
  assert.deepEqual(states, ["open", "idle", "reconnecting", "open"]);
});

test("a client that gave up says so", async (t) => {
  const { server, rt } = await start(t, { cuts: [6] }, { maxRetrySeconds: 0 });
  const response = await rt.create({ input: "hi" });
  server.server.close();
  await assert.rejects(response.result(), realtime.ConnectionLost);
  assert.equal(rt.state, "idle");
});

/** Listens, takes connections, and says nothing: as a path that swallows everything. */
async function hole(t) {
  const sockets = [];
  const server = createServer((socket) => sockets.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `ws://127.0.0.1:${server.address().port}/v1/responses`;
}

test("a handshake into a black hole is given up", async (t) => {
  const connecting = realtime.connect(await hole(t), { WebSocket, policy: { connectTimeoutSeconds: 0.05 } });
  await assert.rejects(connecting, { name: "ConnectionLost", retry: true, message: /took too long/ });
});

test("a key that does not come is given up, too", async (t) => {
  const url = await new FakeServer().listen(t);
  const policy = { connectTimeoutSeconds: 0.05 };
  await assert.rejects(realtime.connect(url, { WebSocket, policy, apiKey: () => new Promise(() => {}) }), { retry: true });
});

test("on Node the key, or a ticket, is a header, and package ws is there without being passed", async (t) => {
  const server = new FakeServer();
  const url = await server.listen(t);
  (await onNode.connect(url, { apiKey: "sec.ret" })).close();
  (await onNode.connect(url, { ticket: "tk_a.b" })).close();
  (await onNode.connect(url)).close();
  assert.deepEqual(server.protocols, Array(3).fill(["realtime.v1"]));
  assert.deepEqual(server.authorizations, ["Bearer sec.ret", "Bearer tk_a.b", undefined]);
});

test("a key that can't be sent is in no error", async (t) => {
  const url = await new FakeServer().listen(t);
  const connecting = realtime.connect(url, { WebSocket, apiKey: "with a space" });
  await assert.rejects(connecting, (error) => !error.retry && error.cause === undefined && !/space/.test(error.message));
});

test("the key is asked for at every handshake", async (t) => {
  const server = new FakeServer({ cuts: [4, 4] });
  const url = await server.listen(t);
  let count = 0;
  const rt = await realtime.connect(url, { WebSocket, policy: QUICK, apiKey: async () => `key-${++count}` });
  t.after(() => rt.close());
  assert.deepEqual(await numbers(await rt.create({ input: "hi" })), ALL);
  const keys = server.protocols.map(([, key]) => key);
  assert.deepEqual(keys, [1, 2, 3].map((n) => `openai-insecure-api-key.key-${n}`));
});

test("a key that is not to be had is tried for again", async (t) => {
  const server = new FakeServer({ cuts: [4] });
  const url = await server.listen(t);
  const answers = [() => "one", () => Promise.reject(new Error("no session")), () => "two"];
  const rt = await realtime.connect(url, { WebSocket, policy: QUICK, apiKey: () => answers.shift()() });
  t.after(() => rt.close());
  assert.deepEqual(await numbers(await rt.create({ input: "hi" })), ALL);
  assert.equal(answers.length, 0);
});

test("a key that was removed is followed by another, if there is a function for it", async (t) => {
  const { url, server } = await start(t, { cuts: [6, 6], closeCode: 4401 });
  const rt = await realtime.connect(url, { WebSocket, policy: QUICK, apiKey: () => "k" });
  t.after(() => rt.close());
  assert.deepEqual(await numbers(await rt.create({ input: "hi" })), ALL);
  assert.equal(server.logs.size, 1);
});

test("the network is back: what was being opened before is not waited for", async (t) => {
  const page = fakePage(t);
  const { server, rt } = await start(t, { holdAt: 5 }, { connectTimeoutSeconds: 60 });
  const response = await rt.create({ input: "hi" });
  const { handleUpgrade } = server.server;
  server.server.handleUpgrade = () => server.server.emit("swallowed");
  for (const socket of server.server.clients) socket.terminate();
  await once(server.server, "swallowed");
  server.server.handleUpgrade = handleUpgrade;
  page.window("online");
  await response.cancel();
  assert.deepEqual(await numbers(response), [0, 1, 2, 3, 4, 5]);
});

test("a network that goes may have cost the socket", async (t) => {
  const page = fakePage(t);
  // how long the dead socket may take to answer; nothing is asserted about it
  const { server, rt } = await start(t, { holdAt: 5 }, { probeSeconds: 0.05 });
  const response = await rt.create({ input: "hi" });
  for (const socket of server.server.clients) socket.removeAllListeners("message"); // open, and deaf
  page.window("offline");
  await once(server.server, "connection");
  await response.cancel();
});

for (const [sleep, wake] of [
  [(page) => page.window("pagehide", { persisted: true }), (page) => page.window("pageshow", { persisted: true })],
  [(page) => page.document("freeze"), (page) => page.document("resume")],
]) {
  test("a page that sleeps holds no socket, and goes on when it wakes", async (t) => {
    const page = fakePage(t);
    const { server, rt } = await start(t, { holdAt: 5 });
    const response = await rt.create({ input: "hi" });
    const [socket] = server.server.clients;
    sleep(page);
    await once(socket, "close");
    assert.equal(rt.state, "reconnecting");
    assert.equal(server.server.clients.size, 0);
    wake(page);
    await response.cancel();
    assert.deepEqual(await numbers(response), [0, 1, 2, 3, 4, 5]);
  });
}

test("a page that is left for good leaves the closing to the browser", async (t) => {
  const page = fakePage(t);
  const { rt } = await start(t);
  page.window("pagehide", { persisted: false });
  assert.equal(rt.state, "open");
});

test("of a refusal without an end no more is read than says why", async (t) => {
  let numWritten = 0;
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write("HTTP/1.1 401 Unauthorized\r\ntransfer-encoding: chunked\r\n\r\n");
      const chunk = `10000\r\n${"x".repeat(65536)}\r\n`;
      const write = () => void (numWritten++ < 2000 && !socket.destroyed && socket.write(chunk, write));
      write();
    });
  });
  t.after(() => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `ws://127.0.0.1:${/** @type {any} */ (server.address()).port}/v1/responses`;
  await assert.rejects(onNode.connect(url, { policy: QUICK }), { status: 401 });
  assert.ok(numWritten < 500, `${numWritten}`);
});
