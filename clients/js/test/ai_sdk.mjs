// Run by tests/clients/test_js_pages.py with the URL of a real server: AI SDK's own chat on this transport.
import assert from "node:assert/strict";

import { Chat } from "@ai-sdk/react";
import { lastAssistantMessageIsCompleteWithToolCalls } from "ai";
import { WebSocket } from "ws";

import { ClientClosed } from "../realtime-client.mjs";
import { RealtimeChatTransport } from "../src/ai-sdk.mjs";
import { until } from "./until.mjs";

const [url, story, long] = process.argv.slice(2);
const sockets = [];
class Watched extends WebSocket {
  constructor(...args) {
    super(...args);
    sockets.push(this);
  }
}

const TOOLS = [{ type: "function", name: "get_weather", parameters: { type: "object", properties: { city: {} } } }];
const open = [];

/** A chat, as a page that opens makes it. */
function page(id, init = {}) {
  const stops = [];
  const transport = new RealtimeChatTransport({
    url,
    WebSocket: Watched,
    policy: { initialDelaySeconds: 0 },
    create: { tools: TOOLS },
    onStop: (stopped) => stops.push(stopped),
  });
  open.push(transport);
  const onError = (error) => assert.ok(error instanceof ClientClosed, error); // a page that is gone
  const chat = new Chat({ id, transport, onError, ...init });
  return { chat, transport, stops };
}

const textOf = ({ parts }) => parts.filter(({ type }) => type === "text").map(({ text }) => text).join("");
const idOf = ({ metadata }) => metadata.realtime.responseId;

const isSpeaking = (chat) => chat.lastMessage?.role === "assistant" && textOf(chat.lastMessage).length > 20;

// a turn, and one that continues it
const first = page("turns");
await first.chat.sendMessage({ text: "hi" });
await first.chat.sendMessage({ text: "hi again" });
const [, one, , two] = first.chat.messages;
assert.deepEqual([textOf(one), textOf(two)], [story, story]);
assert.equal((await first.transport.client.responses.retrieve(idOf(two))).previous_response_id, idOf(one));
assert.equal(one.metadata.realtime.usage.output_tokens > 0, true);

// to regenerate is to fork
await first.chat.regenerate();
const again = first.chat.lastMessage;
assert.notEqual(idOf(again), idOf(two));
assert.equal((await first.transport.client.responses.retrieve(idOf(again))).previous_response_id, idOf(one));
assert.equal(first.chat.messages.length, 4);

// the server has forgotten the answer: everything is said again
await first.transport.client.responses.delete(idOf(again));
await first.chat.sendMessage({ text: "hi" });
const items = await first.transport.client.responses.inputItems(idOf(first.chat.lastMessage), { order: "asc" });
assert.deepEqual(items.data.map(({ role }) => role), ["user", "assistant", "user", "assistant", "user"]);

// a stop is a cancel that the server confirms; what it keeps is what was shown
const stopped = page("stopped");
const sending = stopped.chat.sendMessage({ text: "endless" });
await until(() => isSpeaking(stopped.chat));
await stopped.chat.stop();
await sending;
await until(() => stopped.stops.length === 1);
const [{ response: kept }] = stopped.stops;
assert.equal(kept.status, "cancelled");
assert.ok(kept.cancel.tokens_generated > 0);
assert.ok(kept.output_text.startsWith(textOf(stopped.chat.lastMessage)));
assert.ok(kept.output_text.length < textOf(stopped.chat.lastMessage).length + 200, "but for what was on its way to the page");
assert.equal(stopped.chat.status, "ready");
await stopped.chat.sendMessage({ text: "hi" });
assert.equal(textOf(stopped.chat.lastMessage), story);

// a socket that is cut does not show
const cut = page("cut");
const cutting = cut.chat.sendMessage({ text: "long" });
await until(() => isSpeaking(cut.chat));
sockets.at(-1).terminate();
await cutting;
assert.equal(textOf(cut.chat.lastMessage), long);

// a reload: the page is gone, another one opens
const before = page("reload");
await before.chat.sendMessage({ text: "hi" });
before.chat.sendMessage({ text: "long" });
await until(() => isSpeaking(before.chat) && before.chat.messages.length === 4);
const shown = before.chat.lastMessage;
before.transport.close();
const after = page("reload");
after.chat.messages = await after.transport.loadMessages("reload");
assert.deepEqual(after.chat.messages.map(textOf), ["hi", story, "long"]);
const twice = [after.chat.resumeStream(), after.chat.resumeStream()]; // as React does in strict mode
await until(() => isSpeaking(after.chat) && after.chat.messages.length === 4);
await Promise.all([...twice, after.chat.resumeStream()]); // and as a page does that becomes visible
await until(() => after.chat.status === "ready");
assert.deepEqual(after.chat.messages.map(textOf), ["hi", story, "long", long]);
assert.equal(after.chat.lastMessage.id, shown.id);
assert.equal(after.stops.length, 0);
await after.chat.resumeStream(); // nothing runs
assert.equal(after.chat.messages.length, 4);

// a stop after a reload
const gone = page("reload and stop");
gone.chat.sendMessage({ text: "endless" });
await until(() => isSpeaking(gone.chat));
gone.transport.close();
const back = page("reload and stop");
back.chat.messages = await back.transport.loadMessages("reload and stop");
const resuming = back.chat.resumeStream();
await until(() => isSpeaking(back.chat));
await back.chat.stop();
await resuming;
await until(() => back.stops.length === 1);
assert.equal(back.stops[0].response.status, "cancelled");

// tools of the page: one message, two responses, and a reload in the second
const onToolCall = (chat) => ({ toolCall }) => {
  chat().addToolOutput({ tool: toolCall.toolName, toolCallId: toolCall.toolCallId, output: { sky: "clear" } });
};
const sendAutomaticallyWhen = lastAssistantMessageIsCompleteWithToolCalls;
const tools = page("tools", { sendAutomaticallyWhen, onToolCall: (call) => onToolCall(() => tools.chat)(call) });
tools.chat.sendMessage({ text: "weather?" });
await until(() => isSpeaking(tools.chat));
assert.equal(tools.chat.messages.length, 2);
tools.transport.close();
const later = page("tools");
later.chat.messages = await later.transport.loadMessages("tools");
assert.deepEqual(later.chat.messages.map(({ role }) => role), ["user"]);
await later.chat.resumeStream();
const [, answer] = later.chat.messages;
assert.deepEqual(answer.parts.map(({ type }) => type), ["step-start", "tool-get_weather", "step-start", "text"]);
const { state, input, output } = answer.parts[1];
assert.deepEqual({ state, input, output }, { state: "output-available", input: { city: "Paris" }, output: { sky: "clear" } });
assert.equal(textOf(answer), long);
const plain = (messages) => JSON.parse(JSON.stringify(messages.map(({ role, parts }) => [role, parts.map(({ type }) => type)])));
assert.deepEqual(plain(await later.transport.loadMessages("tools")), plain(later.chat.messages));

for (const transport of open) transport.close();
