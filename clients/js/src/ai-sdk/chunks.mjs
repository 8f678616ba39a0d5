import { parsed } from "./json.mjs";

/** @import { FinishReason, UIMessageChunk } from "ai" */
/** @import { FinalResponse } from "../track.mjs" */
/** @import { McpApprovalRequest, McpCall, OutputItem, ResponseEvent } from "../wire.d.mts" */

/**
 * What this transport keeps in a message's metadata, under `realtime`.
 *
 * @typedef {object} RealtimeMetadata
 * @property {string} responseId Of the newest response that is in the message: the next turn continues it.
 * @property {FinalResponse["usage"]} [usage]
 * @property {FinalResponse["cancel"]} [cancel] The receipt, if it was cancelled.
 */

/** What a message says of a call that was cut. */
export const CUT = "The call was cut.";

/** The events of the responses that make up one message, as chunks of AI SDK's UI message stream. Pure. */
export class Chunks {
  #messageId;
  #isStarted = false;
  #open = /** @type {Map<string, "text" | "reasoning">} */ (new Map()); // parts without their end
  #callIds = /** @type {Map<string, string>} */ (new Map()); // id of an item -> id of its call
  #hasCalls = false;

  /** @param {string} messageId */
  constructor(messageId) {
    this.#messageId = messageId;
  }

  /**
   * @param {ResponseEvent} event
   * @returns {UIMessageChunk[]}
   */
  of(event) {
    switch (event.type) {
      case "response.created":
        return this.#started(event.response_id);
      case "response.output_text.delta":
        return this.#delta("text", `${event.item_id}:${event.content_index}`, event.delta);
      case "response.reasoning_text.delta":
        return this.#delta("reasoning", `${event.item_id}:${event.content_index}`, event.delta);
      case "response.reasoning_summary_text.delta":
        return this.#delta("reasoning", `${event.item_id}:summary:${event.summary_index}`, event.delta);
      case "response.output_item.added":
        return this.#itemAdded(event.item);
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
      case "response.mcp_call_arguments.delta":
        return this.#inputDelta(event.item_id, event.delta);
      case "response.output_item.done":
        return [...this.#endParts(event.item.id ?? ""), ...this.#itemDone(event.item)];
      case "response.completed":
      case "response.incomplete":
      case "response.failed":
        return this.#finished(event.response);
      case "error":
        return [{ type: "error", errorText: event.message }];
      default:
        return [];
    }
  }

  /**
   * The outputs of calls that a later response of the message was given.
   *
   * @param {any[]} items
   * @returns {UIMessageChunk[]}
   */
  outputs(items) {
    const outputs = items.filter(({ type }) => type === "function_call_output" || type === "custom_tool_call_output");
    return outputs.map(({ call_id, output }) => ({
      type: "tool-output-available",
      toolCallId: call_id,
      output: parsed(output),
    }));
  }

  /**
   * @param {string} responseId
   * @returns {UIMessageChunk[]}
   */
  #started(responseId) {
    this.#hasCalls = false;
    const messageMetadata = { realtime: { responseId } };
    /** @type {UIMessageChunk[]} */
    const told = this.#isStarted
      ? [{ type: "message-metadata", messageMetadata }]
      : [{ type: "start", messageId: this.#messageId, messageMetadata }];
    this.#isStarted = true;
    return [...told, { type: "start-step" }];
  }

  /**
   * @param {"text" | "reasoning"} kind
   * @param {string} id
   * @param {string} delta
   * @returns {UIMessageChunk[]}
   */
  #delta(kind, id, delta) {
    /** @type {UIMessageChunk[]} */
    const start = this.#open.has(id) ? [] : [{ type: `${kind}-start`, id }];
    this.#open.set(id, kind);
    return [...start, { type: `${kind}-delta`, id, delta }];
  }

  /**
   * @param {string} itemId Whose; "": of all items.
   * @returns {UIMessageChunk[]}
   */
  #endParts(itemId) {
    const ended = [...this.#open].filter(([id]) => itemId === "" || id.startsWith(`${itemId}:`));
    for (const [id] of ended) this.#open.delete(id);
    return ended.map(([id, kind]) => ({ type: `${kind}-end`, id }));
  }

  /**
   * @param {OutputItem} item
   * @returns {UIMessageChunk[]}
   */
  #itemAdded(item) {
    if (item.type === "function_call" || item.type === "custom_tool_call") {
      this.#callIds.set(item.id ?? "", item.call_id);
      const inputEncoding = item.type === "custom_tool_call" ? "text" : "json";
      return [{ type: "tool-input-start", toolCallId: item.call_id, toolName: item.name, inputEncoding }];
    }
    if (item.type !== "mcp_call") return [];
    this.#callIds.set(item.id ?? "", item.id ?? "");
    return [{ type: "tool-input-start", ...ofServer(item) }];
  }

  /**
   * @param {string} itemId
   * @param {string} inputTextDelta
   * @returns {UIMessageChunk[]}
   */
  #inputDelta(itemId, inputTextDelta) {
    const toolCallId = this.#callIds.get(itemId);
    return toolCallId === undefined ? [] : [{ type: "tool-input-delta", toolCallId, inputTextDelta }];
  }

  /**
   * @param {OutputItem} item
   * @returns {UIMessageChunk[]}
   */
  #itemDone(item) {
    if (item.type === "function_call" || item.type === "custom_tool_call") {
      const input = item.type === "function_call" ? parsed(item.arguments) : item.input;
      const call = { toolCallId: item.call_id, toolName: item.name, input };
      // without an input, by which the next turn knows that it wants no output
      if (item.status === "incomplete") return [{ type: "tool-input-error", ...call, input: undefined, errorText: CUT }];
      this.#hasCalls = true;
      return [{ type: "tool-input-available", ...call }];
    }
    if (item.type === "mcp_call") return mcpCall(item);
    if (item.type === "mcp_approval_request") return approvalRequest(item);
    return [];
  }

  /**
   * @param {FinalResponse | ResponseObject} response
   * @returns {UIMessageChunk[]}
   */
  #finished(response) {
    const { id: responseId, usage, cancel } = response;
    const messageMetadata = { realtime: { responseId, usage, ...(cancel ? { cancel } : {}) } };
    if (response.status === "failed") {
      const { code, message } = response.error ?? {};
      return [...this.#endParts(""), { type: "error", errorText: `${code}: ${message}` }];
    }
    const isCancelled = response.incomplete_details?.reason === "cancelled";
    /** @type {UIMessageChunk[]} */
    const aborted = isCancelled ? [{ type: "abort", reason: "cancelled" }] : [];
    const finishReason = this.#hasCalls ? "tool-calls" : finishReasonOf(response);
    return [
      ...this.#endParts(""),
      { type: "finish-step" },
      ...aborted,
      { type: "finish", finishReason, messageMetadata },
    ];
  }
}

/** @typedef {import("../wire.d.mts").Response} ResponseObject */

/**
 * @param {ResponseObject} response
 * @returns {FinishReason}
 */
function finishReasonOf({ status, incomplete_details }) {
  if (status === "completed") return "stop";
  if (incomplete_details?.reason === "max_output_tokens") return "length";
  return incomplete_details?.reason === "content_filter" ? "content-filter" : "other";
}

/** @param {McpCall | McpApprovalRequest} item */
const ofServer = ({ id, name, server_label }) => ({
  toolCallId: id ?? "",
  toolName: name,
  title: `${server_label}: ${name}`,
  providerExecuted: true,
  dynamic: true,
});

/**
 * @param {McpCall} item
 * @returns {UIMessageChunk[]}
 */
function mcpCall(item) {
  const called = /** @type {UIMessageChunk} */ ({
    type: "tool-input-available",
    ...ofServer(item),
    input: parsed(item.arguments),
  });
  const answered = { toolCallId: item.id ?? "", providerExecuted: true, dynamic: true };
  if (item.error) return [called, { type: "tool-output-error", ...answered, errorText: JSON.stringify(item.error) }];
  return [called, { type: "tool-output-available", ...answered, output: parsed(item.output ?? null) }];
}

/**
 * @param {McpApprovalRequest} item
 * @returns {UIMessageChunk[]}
 */
function approvalRequest(item) {
  const approvalId = item.id ?? "";
  return [
    { type: "tool-input-available", ...ofServer(item), input: parsed(item.arguments) },
    { type: "tool-approval-request", approvalId, toolCallId: approvalId },
  ];
}
