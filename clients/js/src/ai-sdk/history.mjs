/** From AI SDK's messages to what a create says: which response it continues, and with what. Pure. */

/** @import { UIMessage } from "ai" */
/** @import { RealtimeMetadata } from "./chunks.mjs" */

/**
 * @typedef {object} Turn
 * @property {string | null} previousResponseId The response that is continued.
 * @property {any[]} input What is new after it.
 * @property {string | null} messageId Of the message that the answer goes into, if there is one already.
 * @property {boolean} isUnanswered Calls of it have no output, and will have none.
 */

/**
 * The newest message that the server knows, and what comes after it. What the user edited or regenerated forks by itself:
 * the messages before it name another response.
 *
 * @param {UIMessage[]} messages
 * @returns {Turn}
 */
export function turnOf(messages) {
  const index = messages.findLastIndex((message) => responseIdOf(message) !== null);
  const continued = messages[index];
  if (continued === undefined) return wholeTurn(messages);
  const step = newestStep(continued);
  return {
    previousResponseId: responseIdOf(continued),
    input: [...step.flatMap(outputsOf), ...messages.slice(index + 1).flatMap(itemsOf)],
    messageId: index === messages.length - 1 ? continued.id : null,
    isUnanswered: step.some(isUnanswered),
  };
}

/**
 * The same without the server's memory: everything is said again.
 *
 * @param {UIMessage[]} messages
 * @returns {Turn}
 */
export function wholeTurn(messages) {
  const last = messages.at(-1);
  return {
    previousResponseId: null,
    input: messages.flatMap(itemsOf),
    messageId: last?.role === "assistant" ? last.id : null,
    isUnanswered: messages.some(({ parts }) => parts.some(isUnanswered)),
  };
}

/**
 * @param {UIMessage} message
 * @returns {string | null}
 */
function responseIdOf({ role, metadata }) {
  const realtime = /** @type {{ realtime?: RealtimeMetadata } | undefined} */ (metadata)?.realtime;
  return role === "assistant" ? (realtime?.responseId ?? null) : null;
}

/** @param {UIMessage} message */
const newestStep = ({ parts }) => parts.slice(parts.findLastIndex(({ type }) => type === "step-start") + 1);

/** @param {any} part */
const isTool = (part) => part.type === "dynamic-tool" || part.type.startsWith("tool-");

/** @param {any} part */
const isOfClient = (part) => isTool(part) && part.providerExecuted !== true;

/** @param {any} part */
const isUnanswered = (part) => isOfClient(part) && part.state === "input-available";

/**
 * What answers a call.
 *
 * @param {any} part
 * @returns {any[]}
 */
function outputsOf(part) {
  if (!isTool(part)) return [];
  if (part.state === "approval-responded") {
    const { id, approved, reason } = part.approval;
    return [{ type: "mcp_approval_response", approval_request_id: id, approve: approved, ...(reason ? { reason } : {}) }];
  }
  if (!isOfClient(part) || part.input === undefined) return []; // one that was cut has no input, and wants no output
  const type = typeof part.input === "string" ? "custom_tool_call_output" : "function_call_output";
  if (part.state === "output-available") return [{ type, call_id: part.toolCallId, output: asText(part.output) }];
  if (part.state === "output-error") return [{ type, call_id: part.toolCallId, output: `Error: ${part.errorText}` }];
  return [];
}

/**
 * @param {UIMessage} message
 * @returns {any[]}
 */
function itemsOf({ role, parts }) {
  if (role === "assistant") return parts.flatMap(spokenItems);
  const content = parts.flatMap(contentOf);
  return content.length === 0 ? [] : [{ type: "message", role, content }];
}

/**
 * @param {any} part
 * @returns {any[]}
 */
function spokenItems(part) {
  if (part.type === "text") {
    return [{ type: "message", role: "assistant", content: [{ type: "output_text", text: part.text }] }];
  }
  if (!isOfClient(part) || part.input === undefined) return [];
  const name = part.type === "dynamic-tool" ? part.toolName : part.type.slice("tool-".length);
  const call =
    typeof part.input === "string"
      ? { type: "custom_tool_call", call_id: part.toolCallId, name, input: part.input }
      : { type: "function_call", call_id: part.toolCallId, name, arguments: JSON.stringify(part.input) };
  return [call, ...outputsOf(part)];
}

/**
 * @param {any} part
 * @returns {any[]}
 */
function contentOf(part) {
  if (part.type === "text") return [{ type: "input_text", text: part.text }];
  if (part.type !== "file") return [];
  if (part.mediaType.startsWith("image/")) return [{ type: "input_image", image_url: part.url }];
  const where = part.url.startsWith("data:") ? { file_data: part.url } : { file_url: part.url };
  return [{ type: "input_file", ...where, ...(part.filename ? { filename: part.filename } : {}) }];
}

/** @param {unknown} value */
const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value ?? null));
