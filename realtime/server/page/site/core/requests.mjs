import { UI } from "./chats.mjs";

/** What is sent for a turn. Pure. */

/**
 * @typedef {object} Settings
 * @property {string} instructions
 * @property {string} temperature Empty: the model's own.
 * @property {string} effort Empty: the model's own.
 * @property {string} length The most tokens of an answer. Empty: as many as there is room for.
 * @property {boolean} tools
 * @property {string} mcp Names of servers, with commas between them.
 */
/**
 * @typedef {object} Turn
 * @property {string} chatId
 * @property {string} questionId The same for answers to the same question.
 * @property {string | null} parentId
 * @property {object[]} input
 * @property {string} title
 * @property {string} requestId
 * @property {string} [step] "tool" or "approval": it goes on with the answer before it.
 */

/**
 * The body of `response.create`. It runs on whoever leaves: a page that was closed finds the answer when it is back.
 *
 * @param {Turn} turn
 * @param {Settings} settings
 * @param {object[]} tools
 */
export function createBody(turn, settings, tools) {
  const metadata = { realtime_ui: UI, chat_id: turn.chatId, chat_title: turn.title, chat_input: turn.questionId };
  const servers = settings.mcp.split(",").map((name) => name.trim()).filter(Boolean);
  const offered = [...(settings.tools ? tools : []), ...servers.map((server_label) => ({ type: "mcp", server_label }))];
  const temperature = Number.parseFloat(settings.temperature);
  const length = Number.parseInt(settings.length, 10);
  return {
    input: turn.input,
    previous_response_id: turn.parentId,
    request_id: turn.requestId,
    metadata: turn.step ? { ...metadata, chat_step: turn.step } : metadata,
    include: ["reasoning.content"],
    on_disconnect: { policy: "continue" },
    allow_missing_outputs: true,
    truncation: "auto",
    ...(settings.instructions.trim() ? { instructions: settings.instructions } : {}),
    ...(Number.isFinite(temperature) ? { temperature } : {}),
    ...(length > 0 ? { max_output_tokens: length } : {}),
    ...(settings.effort ? { reasoning: { effort: settings.effort } } : {}),
    ...(offered.length > 0 ? { tools: offered } : {}),
  };
}

/**
 * @typedef {{ kind: "image" | "file", name: string, url: string }} Attachment
 */

/**
 * A user's message as an input item.
 *
 * @param {string} text
 * @param {Attachment[]} attachments
 */
export function userMessage(text, attachments = []) {
  const parts = attachments.map(({ kind, name, url }) =>
    kind === "image" ? { type: "input_image", image_url: url } : { type: "input_file", filename: name, file_data: url },
  );
  return { type: "message", role: "user", content: [...parts, ...(text ? [{ type: "input_text", text }] : [])] };
}

/** @param {any} item */
export function attachmentsOf(item) {
  const parts = Array.isArray(item.content) ? item.content : [];
  return parts.flatMap((/** @type {any} */ part) => {
    if (part.type === "input_image") return [{ kind: "image", name: "", url: part.image_url ?? "" }];
    return part.type === "input_file" ? [{ kind: "file", name: part.filename ?? "", url: part.file_data ?? "" }] : [];
  });
}

/**
 * Calls of the page's own tools that nobody has answered.
 *
 * @param {import("./answer.mjs").Item[]} items
 */
export function callsOf(items) {
  const answered = new Set(items.filter(({ type }) => type === "function_call_output").map(({ raw }) => raw.call_id));
  return items.filter(({ type, raw }) => type === "function_call" && raw.status === "completed" && !answered.has(raw.call_id));
}

/**
 * Whether a request for approval was allowed, by what later turns brought; null: nobody has said.
 *
 * @param {string} requestId
 * @param {{ inputs: any[] }[]} turns
 * @returns {boolean | null}
 */
export function decisionOn(requestId, turns) {
  const inputs = turns.flatMap((turn) => turn.inputs);
  return inputs.find(({ type, approval_request_id }) => type === "mcp_approval_response" && approval_request_id === requestId)?.approve ?? null;
}
