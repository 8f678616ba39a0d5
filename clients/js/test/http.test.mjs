// What goes over HTTP: what is asked for, and what is asked for again.
import assert from "node:assert/strict";
import { test } from "node:test";

import { WebSocket } from "ws";

import * as realtime from "../realtime-client.mjs";
import { FakeServer, start } from "./fake_server.mjs";

const busy = (retry = true) => [503, { error: { code: "server_is_overloaded", message: "busy", retry, retry_after: 0 } }];

/** A client whose requests over HTTP are answered by these, in turn; an Error is a path that is cut. */
async function answered(t, answers, options = {}) {
  const asked = [];
  const fetch = async (url, { method, headers, body }) => {
    asked.push({ method, path: url.replace(/^http:\/\/[^/]+/, ""), headers, body: body && JSON.parse(body) });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    const [status, value] = answer;
    return new Response(typeof value === "string" ? value : JSON.stringify(value), { status });
  };
  const url = await new FakeServer().listen(t);
  const policy = { initialDelaySeconds: 0 };
  const rt = await realtime.connect(`${url}?model=m`, { WebSocket, policy, fetch, apiKey: "secret", ...options });
  t.after(() => rt.close());
  return { rt, asked };
}

const page = (...ids) => [200, { data: ids.map((id) => ({ id })), last_id: ids.at(-1) ?? null, has_more: ids.length > 1 }];

test("a response is retrieved with its text", async (t) => {
  const output = [{ type: "message", content: [{ type: "output_text", text: "Hi" }] }];
  const { rt, asked } = await answered(t, [[200, { id: "resp_1", output }]]);
  const final = await rt.responses.retrieve("resp_1", { include: ["token_ids", "other"] });
  assert.equal(final.output_text, "Hi");
  const headers = { authorization: "Bearer secret" };
  const path = "/v1/responses/resp_1?include=token_ids&include=other";
  assert.deepEqual(asked, [{ method: "GET", path, headers, body: undefined }]);
});

test("lists are read page by page", async (t) => {
  const { rt, asked } = await answered(t, [page("a", "b"), page("c")]);
  const ids = [];
  for await (const { id } of rt.responses.all({ status: "completed", metadata: { chat: "1" } })) ids.push(id);
  assert.deepEqual(ids, ["a", "b", "c"]);
  const query = "limit=20&status=completed&metadata%5Bchat%5D=1";
  assert.deepEqual(asked.map(({ path }) => path), [`/v1/responses?${query}`, `/v1/responses?${query}&after=b`]);
});

test("what is refused for now is sent again", async (t) => {
  const { rt, asked } = await answered(t, [busy(), busy(), [200, { id: "conv_1" }]]);
  assert.equal((await rt.conversations.create({ metadata: { a: "b" } })).id, "conv_1");
  assert.deepEqual(asked.map(({ body }) => body), Array(3).fill({ metadata: { a: "b" } }));
});

test("what may have been done is not sent again, unless twice is once", async (t) => {
  const { rt, asked } = await answered(t, [new Error("cut"), new Error("cut"), [200, { deleted: true }]]);
  await assert.rejects(rt.conversations.create(), { name: "ConnectionLost", retry: false });
  assert.deepEqual(await rt.conversations.delete("conv_1"), { deleted: true });
  assert.equal(asked.length, 3);
});

test("a refusal is an error of the same class as on the socket", async (t) => {
  const error = { code: "response_not_found", message: "no", retry: false };
  const { rt } = await answered(t, [[404, { error }], [502, "<html>"], [200, {}], [403, "<html>"]]);
  await assert.rejects(rt.responses.retrieve("resp_9"), realtime.ResponseNotFound);
  await rt.responses.retrieve("resp_9"); // a proxy's 502 may pass
  await assert.rejects(rt.responses.delete("resp_9"), { name: "ServerError", status: 403, code: null });
});

test("a key that can't be sent is in no error, and nothing is asked", async (t) => {
  let key = "good";
  const { rt, asked } = await answered(t, [], { apiKey: () => key });
  key = "se\r\ncret";
  await assert.rejects(rt.responses.retrieve("resp_1"), (error) => !error.message.includes("cret") && error.retry === false);
  assert.deepEqual(asked, []);
});

test("an abort ends the waiting", async (t) => {
  const controller = new AbortController();
  const { rt } = await answered(t, Array(9).fill(busy()), { policy: { initialDelaySeconds: 60 } });
  const waiting = rt.responses.list({}, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
});

test("the end of a response whose events are gone is fetched", async (t) => {
  const status = ["in_progress", "completed"]; // it runs still when it is asked for first
  const fetch = async () => new Response(JSON.stringify({ id: "r0", status: status.shift(), output: [] }));
  const server = new FakeServer({ holdAt: 5 });
  const rt = await realtime.connect(await server.listen(t), { WebSocket, policy: { initialDelaySeconds: 0 }, fetch });
  t.after(() => rt.close());
  const response = await rt.create({ input: "hi" });
  server.logs.clear();
  server.gone = "cursor_too_old";
  for (const socket of server.server.clients) socket.terminate();
  assert.equal((await response.result()).status, "completed");
  assert.equal(status.length, 0);
  await assert.rejects(response.text().next(), realtime.CursorTooOld);
});

test("a stream of the Web takes what it is asked for", async (t) => {
  const { rt } = await start(t);
  const response = await rt.create({ input: "hi" });
  const reader = response.readable().getReader();
  assert.equal((await reader.read()).value.sequence_number, 0);
  assert.equal((await reader.read()).value.sequence_number, 1);
  assert.equal(response.cursor.starting_after, 1);
  await reader.cancel();
  const numbers = [];
  for await (const { sequence_number } of response.readable()) numbers.push(sequence_number);
  assert.deepEqual(numbers, [2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test("an answer without an end is not read to its end, nor asked for again", async (t) => {
  let [numAsked, numRead] = [0, 0];
  const chunk = new Uint8Array(2 ** 20);
  const fetch = async () => {
    numAsked += 1;
    return new Response(new ReadableStream({ pull: (stream) => void (numRead++, stream.enqueue(chunk)) }), { status: 401 });
  };
  const rt = await realtime.connect(await new FakeServer().listen(t), { WebSocket, fetch });
  t.after(() => rt.close());
  await assert.rejects(rt.responses.retrieve("resp_1"), realtime.ProtocolError);
  assert.equal(numAsked, 1);
  assert.ok(numRead < 70, `${numRead}`);
});

test("a server that drips does not hold the caller", async (t) => {
  const drips = (stream, timer = setInterval(() => stream.enqueue(new Uint8Array([32])), 5)) => timer;
  let timer;
  const fetch = async (_, { signal }) => {
    const body = new ReadableStream({ start: (stream) => void (timer = drips(stream)), cancel: () => clearInterval(timer) });
    assert.equal(signal.aborted, false);
    return new Response(body);
  };
  const policy = { requestTimeoutSeconds: 0.05, maxRetrySeconds: 0 };
  const rt = await realtime.connect(await new FakeServer().listen(t), { WebSocket, fetch, policy });
  t.after(() => rt.close());
  await assert.rejects(rt.responses.retrieve("resp_1"), { name: "ConnectionLost", retry: true });
});

test("a list that does not get on is an error", async (t) => {
  const more = (...ids) => [200, { data: ids, last_id: ids.at(-1) ?? "x", has_more: true }];
  for (const pages of [[more("a"), more("a")], [more("a"), more("b"), more("a")]]) {
    const { rt } = await answered(t, pages);
    await assert.rejects(async () => {
      for await (const _ of rt.conversations.all());
    }, { name: "ProtocolError", message: /again/ });
  }
  const { rt } = await answered(t, [more("a"), more()]);
  const read = [];
  for await (const id of rt.responses.all()) read.push(id);
  assert.deepEqual(read, ["a"]);
});
