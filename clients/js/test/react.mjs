// Run by tests/clients/test_js_pages.py with the URL of a real server: the hooks, and `useChat`, in React.
import assert from "node:assert/strict";

import { useChat } from "@ai-sdk/react";
import { StrictMode, createElement, useEffect } from "react";
import { WebSocket } from "ws";

import { RealtimeClient } from "../realtime-client.mjs";
import { RealtimeChatTransport } from "../src/ai-sdk.mjs";
import { until } from "./until.mjs";
import { useConnectionState, useConversation, useResponse } from "../src/react.mjs";

const { error } = console;
console.error = (first, ...more) => /react-test-renderer is deprecated/.test(first) || error(first, ...more);
const { default: renderer } = await import("react-test-renderer");

const [url, story, long] = process.argv.slice(2);
const client = new RealtimeClient(url, { WebSocket, policy: { initialDelaySeconds: 0 } });

/** A component that shows nothing; `shown.now` is what its hook returned last. */
async function show(hook) {
  const shown = { now: null, all: [], mounts: 0 };
  const Component = () => {
    shown.now = hook();
    shown.all.push(shown.now);
    useEffect(() => void shown.mounts++, []);
    return null;
  };
  const root = renderer.create(createElement(StrictMode, null, createElement(Component)));
  await until(() => shown.mounts === 2); // strict mode mounts everything twice
  return Object.assign(shown, { leave: () => root.unmount() });
}

// a response, its stop, and the connection
const connection = await show(() => useConnectionState(client));
const one = await show(() => useResponse(client));
assert.equal(one.now.status, "idle");
const final = await one.now.create({ input: "hi" });
await until(() => one.now.status === "completed");
assert.equal(one.now.text, story);
assert.deepEqual([one.now.final, one.now.id], [final, final.id]);
await until(() => connection.now === "open");

one.now.create({ input: "endless" });
await until(() => one.now.text.startsWith("on and on on"));
const { text } = one.now;
const stopped = await one.now.stop();
await until(() => one.now.status === "cancelled");
assert.equal(one.now.text, stopped.output_text);
assert.ok(one.now.text.startsWith(text));

one.now.create({ input: "endless" });
assert.equal((await one.now.stop()).status, "cancelled"); // before the server has confirmed it

assert.equal(await one.now.resume({ response_id: "resp_none" }), null);
await until(() => one.now.status === "failed");
assert.equal(one.now.error.name, "ResponseNotFound");

// what a component leaves goes on at the server
one.now.create({ input: "long", on_disconnect: { policy: "continue" } });
await until(() => one.now.text.startsWith("0 1 2 3"));
const { id } = one.now;
one.leave();
const two = await show(() => useResponse(client));
two.now.resume({ response_id: id });
await until(() => two.now.status === "completed");
assert.equal(two.now.text, long);

// a conversation, on two devices
const { id: chat } = await client.conversations.create();
const here = await show(() => useConversation(client, chat));
await until(() => here.now.status === "ready");
await here.now.send("hi");
await until(() => here.now.items.length === 2 && here.now.response.status === "idle");
here.now.send("endless");
await until(() => here.now.response.text.length > 20);
const device = new RealtimeClient(url, { WebSocket });
const there = await show(() => useConversation(device, chat));
await until(() => there.now.response.text.length > 20);
assert.deepEqual(there.now.items.map(({ role }) => role), ["user", "assistant", "user"]);
const ended = await there.now.stop();
await until(() => [here, there].every(({ now }) => now.items.length === 4 && now.response.status === "idle"));
for (const { now } of [here, there]) assert.equal(now.items[3].content[0].text, ended.output_text);
await here.now.send("hi");
await until(() => here.now.items.length === 6);

// AI SDK's useChat: stop, and a reload in the middle of an answer
const page = async (messages) => {
  const transport = new RealtimeChatTransport({ url, WebSocket });
  const shown = await show(() => useChat({ id: "page", transport, messages, resume: true }));
  return Object.assign(shown, { transport });
};
const textOf = ({ parts }) => parts.filter(({ type }) => type === "text").map(({ text }) => text).join("");
const isSpeaking = ({ now }) => now?.messages.at(-1)?.role === "assistant" && textOf(now.messages.at(-1)).length > 20;
const before = await page([]);
before.now.sendMessage({ text: "endless" });
await until(() => isSpeaking(before));
await before.now.stop();
await until(() => before.now.status === "ready");
before.now.sendMessage({ text: "long" });
await until(() => before.now.messages.length === 4 && isSpeaking(before));
before.transport.close();
before.leave();
const reader = new RealtimeChatTransport({ client });
const after = await page(await reader.loadMessages("page"));
await until(() => after.now.messages.length === 4 && after.now.status === "ready");
assert.equal(textOf(after.now.messages[3]), long);
const wasStopped = await client.responses.retrieve(after.now.messages[1].metadata.realtime.responseId);
assert.equal(wasStopped.status, "cancelled");
assert.equal(textOf(after.now.messages[1]), wasStopped.output_text);

for (const shown of [after, two, here, there, connection]) shown.leave();
after.transport.close();
device.close();
client.close();
