/** What was said in a chat, as AI SDK's messages, from the responses that the server keeps. */

import { CUT } from "./chunks.mjs";
import { parsed } from "./json.mjs";

/** @import { UIMessage } from "ai" */
/** @import { Responses } from "../responses.mjs" */
/** @import { FinalResponse } from "../track.mjs" */
/** @import { ListedResponse } from "../wire.d.mts" */

const NUM_AT_ONCE = 8; // turns that are fetched together

/**
 * The branch that ends with the newest response, without answers that run.
 *
 * @param {Responses} responses
 * @param {Record<string, string>} metadata
 * @returns {Promise<UIMessage[]>}
 */
export async function messagesOf(responses, metadata) {
  const messages = /** @type {any[]} */ ([]);
  const path = await branch(responses, metadata);
  for (let at = 0; at < path.length; at += NUM_AT_ONCE) {
    const turns = path.slice(at, at + NUM_AT_ONCE).map((one) => fetched(responses, one));
    for (const { id, items, response } of await Promise.all(turns)) {
      addInputs(messages, items, id);
      if (response !== null) addOutput(messages, response);
      else if (messages.at(-1)?.role === "assistant") messages.pop(); // it goes on in this message
    }
  }
  return messages;
}

/**
 * A turn; `response`: null while it runs.
 *
 * @param {Responses} responses
 * @param {ListedResponse} one
 */
async function fetched(responses, { id, status }) {
  const isRunning = status === "in_progress" || status === "queued";
  const [{ data: items }, response] = await Promise.all([
    responses.inputItems(id, { limit: 100, order: "asc" }),
    isRunning ? null : responses.retrieve(id),
  ]);
  return { id, items, response };
}

/**
 * Oldest first.
 *
 * @param {Responses} responses
 * @param {Record<string, string>} metadata
 */
async function branch(responses, metadata) {
  const all = /** @type {ListedResponse[]} */ ([]);
  for await (const one of responses.all({ metadata, limit: 100 })) all.push(one);
  const byId = new Map(all.map((one) => [one.id, one]));
  const path = [];
  for (let one = all[0]; one !== undefined; ) {
    path.unshift(one);
    const before = byId.get(one.previous_response_id ?? "");
    if (before === undefined) break;
    one = before;
  }
  return path;
}

/**
 * @param {any[]} messages
 * @param {any[]} items
 * @param {string} responseId
 */
function addInputs(messages, items, responseId) {
  for (const item of items) {
    if (item.type === "function_call_output" || item.type === "custom_tool_call_output") {
      const part = messages.at(-1)?.parts.find((/** @type {any} */ one) => one.toolCallId === item.call_id);
      if (part) Object.assign(part, { state: "output-available", output: parsed(item.output) });
    } else if (item.type === "message" && item.role !== "assistant") {
      const content = typeof item.content === "string" ? [{ type: "input_text", text: item.content }] : item.content;
      messages.push({ id: item.id ?? `${responseId}-${messages.length}`, role: item.role, parts: content.flatMap(partOf) });
    }
  }
}

/**
 * @param {any} content
 * @returns {any[]}
 */
function partOf(content) {
  if (content.type === "input_text") return [{ type: "text", text: content.text }];
  if (content.type !== "input_image") return [];
  const mediaType = /^data:([^;,]+)/.exec(content.image_url)?.[1] ?? "image/*";
  return [{ type: "file", mediaType, url: content.image_url }];
}

/**
 * @param {any[]} messages
 * @param {FinalResponse} response
 */
function addOutput(messages, response) {
  const { id: responseId, usage, cancel } = response;
  const id = response.metadata.message ?? responseId;
  const metadata = { realtime: { responseId, usage, ...(cancel ? { cancel } : {}) } };
  const parts = [{ type: "step-start" }, ...response.output.flatMap(outputPartsOf)];
  const last = messages.at(-1);
  if (last?.id === id) {
    last.parts.push(...parts);
    last.metadata = metadata;
  } else {
    messages.push({ id, role: "assistant", metadata, parts });
  }
}

/**
 * @param {any} item
 * @returns {any[]}
 */
function outputPartsOf(item) {
  if (item.type === "message") {
    const texts = item.content.filter((/** @type {any} */ { type }) => type === "output_text");
    return texts.map((/** @type {any} */ { text }) => ({ type: "text", text, state: "done" }));
  }
  if (item.type === "reasoning") {
    const texts = item.content ?? item.summary ?? [];
    return texts.map((/** @type {any} */ { text }) => ({ type: "reasoning", text, state: "done" }));
  }
  if (item.type === "function_call" || item.type === "custom_tool_call") {
    const input = item.type === "function_call" ? parsed(item.arguments) : item.input;
    const call = { type: `tool-${item.name}`, toolCallId: item.call_id };
    if (item.status !== "incomplete") return [{ ...call, state: "input-available", input }];
    return [{ ...call, state: "output-error", input: undefined, rawInput: input, errorText: CUT }];
  }
  if (item.type !== "mcp_call") return [];
  const call = { type: "dynamic-tool", toolName: item.name, toolCallId: item.id, input: parsed(item.arguments) };
  return [{ ...call, providerExecuted: true, state: "output-available", output: parsed(item.output ?? null) }];
}
