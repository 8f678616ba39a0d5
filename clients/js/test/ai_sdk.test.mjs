// The pure parts of the transport for AI SDK: events to chunks, messages to input.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Chunks } from "../src/ai-sdk/chunks.mjs";
import { turnOf } from "../src/ai-sdk/history.mjs";

const types = (chunks) => chunks.map(({ type }) => type);
const item = (type, members) => ({ type: `response.output_item.${type}`, item: members });

test("reasoning and text are parts, which end with their items", () => {
  const chunks = new Chunks("msg-1");
  const events = [
    { type: "response.created", response_id: "r1" },
    { type: "response.reasoning_text.delta", item_id: "a", content_index: 0, delta: "hm" },
    { type: "response.reasoning_summary_text.delta", item_id: "a", summary_index: 0, delta: "so" },
    item("done", { type: "reasoning", id: "a" }),
    { type: "response.output_text.delta", item_id: "b", content_index: 0, delta: "Hi" },
    { type: "response.of_a_later_version" },
    { type: "response.incomplete", response: { id: "r1", status: "incomplete", incomplete_details: { reason: "max_output_tokens" } } },
  ];
  const made = events.flatMap((event) => chunks.of(event));
  assert.deepEqual(types(made), [
    "start", "start-step", "reasoning-start", "reasoning-delta", "reasoning-start", "reasoning-delta", "reasoning-end",
    "reasoning-end", "text-start", "text-delta", "text-end", "finish-step", "finish",
  ]);
  assert.deepEqual(made[0], { type: "start", messageId: "msg-1", messageMetadata: { realtime: { responseId: "r1" } } });
  assert.equal(made.at(-1).finishReason, "length");
});

test("a second response goes on in the same message", () => {
  const chunks = new Chunks("msg-1");
  chunks.of({ type: "response.created", response_id: "r1" });
  const made = chunks.of({ type: "response.created", response_id: "r2" });
  assert.deepEqual(types(made), ["message-metadata", "start-step"]);
  assert.deepEqual(types(chunks.outputs([{ type: "function_call_output", call_id: "c", output: "x" }, { type: "message" }])), [
    "tool-output-available",
  ]);
});

test("a call that was cut is not one to carry out", () => {
  const chunks = new Chunks("msg-1");
  const call = { type: "function_call", id: "i", call_id: "c", name: "f", arguments: "" };
  assert.deepEqual(types(chunks.of(item("added", call))), ["tool-input-start"]);
  const delta = chunks.of({ type: "response.function_call_arguments.delta", item_id: "i", delta: '{"a' });
  assert.deepEqual(delta, [{ type: "tool-input-delta", toolCallId: "c", inputTextDelta: '{"a' }]);
  const [made] = chunks.of(item("done", { ...call, arguments: '{"a', status: "incomplete" }));
  assert.deepEqual([made.type, made.toolCallId, made.input], ["tool-input-error", "c", undefined]);
  const response = { id: "r1", status: "incomplete", incomplete_details: { reason: "cancelled" }, cancel: { tokens_generated: 3 } };
  const end = chunks.of({ type: "response.incomplete", response });
  assert.deepEqual(types(end), ["finish-step", "abort", "finish"]);
  assert.deepEqual(end[2].messageMetadata.realtime.cancel, { tokens_generated: 3 });
});

test("tools of the server are carried out there, and may ask for approval", () => {
  const chunks = new Chunks("msg-1");
  const call = { type: "mcp_call", id: "m", name: "search", server_label: "docs", arguments: "{}" };
  const [called, answered] = chunks.of(item("done", { ...call, output: '{"hits": 2}' }));
  assert.deepEqual([called.providerExecuted, called.dynamic, answered.output], [true, true, { hits: 2 }]);
  assert.equal(chunks.of(item("done", { ...call, error: { code: 1 } }))[1].type, "tool-output-error");
  const asked = chunks.of(item("done", { ...call, type: "mcp_approval_request", id: "q" }));
  assert.deepEqual(asked[1], { type: "tool-approval-request", approvalId: "q", toolCallId: "q" });
});

test("a failed response is an error", () => {
  const made = new Chunks("m").of({ type: "response.failed", response: { status: "failed", error: { code: "a", message: "b" } } });
  assert.deepEqual(made, [{ type: "error", errorText: "a: b" }]);
});

const user = (text) => ({ id: "u", role: "user", parts: [{ type: "text", text }] });
const said = (responseId, ...parts) => ({ id: "msg-1", role: "assistant", metadata: { realtime: { responseId } }, parts });
const tool = (members) => ({ type: "tool-f", toolCallId: "c", input: { a: 1 }, ...members });

test("the newest message that the server knows is continued", () => {
  const turn = turnOf([user("a"), said("r1", { type: "text", text: "b" }), user("c")]);
  assert.deepEqual(turn, {
    previousResponseId: "r1",
    input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "c" }] }],
    messageId: null,
    isUnanswered: false,
  });
});

test("outputs go on in their message; those of an earlier step were sent", () => {
  const step = { type: "step-start" };
  const earlier = tool({ toolCallId: "old", state: "output-available", output: "x" });
  const now = [tool({ state: "output-available", output: { b: 2 } }), tool({ toolCallId: "d", state: "output-error", errorText: "no" })];
  const turn = turnOf([user("a"), said("r2", step, earlier, step, ...now)]);
  assert.equal(turn.messageId, "msg-1");
  assert.deepEqual(turn.input, [
    { type: "function_call_output", call_id: "c", output: '{"b":2}' },
    { type: "function_call_output", call_id: "d", output: "Error: no" },
  ]);
  assert.equal(turnOf([said("r2", step, tool({ state: "input-available" })), user("b")]).isUnanswered, true);
});

test("a call that was cut wants no output", () => {
  const { input, isUnanswered } = turnOf([said("r1", tool({ state: "output-error", input: undefined, rawInput: '{"a' }))]);
  assert.deepEqual([input, isUnanswered], [[], false]);
});

test("an approval is answered", () => {
  const part = { type: "dynamic-tool", toolName: "f", toolCallId: "q", providerExecuted: true, state: "approval-responded" };
  const [answer] = turnOf([said("r1", { ...part, approval: { id: "q", approved: false, reason: "no" } })]).input;
  assert.deepEqual(answer, { type: "mcp_approval_response", approval_request_id: "q", approve: false, reason: "no" });
});

test("what the server does not know is said whole, with pictures and calls", () => {
  const file = (mediaType, url) => ({ type: "file", mediaType, url, filename: "f" });
  const question = { id: "u", role: "user", parts: [file("image/png", "data:1"), file("application/pdf", "https://a/b.pdf")] };
  const answer = { id: "a", role: "assistant", parts: [{ type: "reasoning", text: "hm" }, tool({ state: "output-available", output: "x" })] };
  const { input, previousResponseId } = turnOf([question, answer, user("b")]);
  assert.equal(previousResponseId, null);
  assert.deepEqual(input.slice(0, 3), [
    {
      type: "message",
      role: "user",
      content: [{ type: "input_image", image_url: "data:1" }, { type: "input_file", file_url: "https://a/b.pdf", filename: "f" }],
    },
    { type: "function_call", call_id: "c", name: "f", arguments: '{"a":1}' },
    { type: "function_call_output", call_id: "c", output: "x" },
  ]);
});
