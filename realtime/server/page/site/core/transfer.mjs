import { UI } from "./chats.mjs";

/** Chats as JSON, out and in again. A server can't be given answers as its own: they come back as input. Pure. */

const FORMAT = "realtime-chats";
const MAX_CHATS = 1000;

/** @typedef {{ id: string, previous_response_id: string | null, metadata: Record<string, string>, items: any[] }} Kept */
/** @typedef {{ id: string, title: string, responses: Kept[] }} KeptChat */

/** @param {KeptChat[]} chats */
export function exported(chats) {
  return JSON.stringify({ format: FORMAT, version: 1, chats }, null, 2);
}

/**
 * Throws Error for a text that is no export.
 *
 * @param {string} text
 * @returns {KeptChat[]}
 */
export function imported(text) {
  const { format, version, chats } = JSON.parse(text);
  if (format !== FORMAT || version !== 1 || !Array.isArray(chats)) throw new Error("not an export of this page");
  return chats.slice(0, MAX_CHATS).map(({ title, responses }) => ({ id: "", title: String(title), responses }));
}

/**
 * The create that puts a response back: nothing is generated. `parentId`: the new id of what it continues.
 *
 * @param {Kept} kept
 * @param {{ chatId: string, title: string, parentId: string | null }} place
 */
export function restoring(kept, { chatId, title, parentId }) {
  const { chat_input = kept.id, chat_step } = kept.metadata ?? {};
  return {
    input: kept.items.map(portable),
    previous_response_id: parentId,
    generate: false,
    allow_missing_outputs: true,
    metadata: { realtime_ui: UI, chat_id: chatId, chat_title: title, chat_input, ...(chat_step ? { chat_step } : {}) },
  };
}

/**
 * Without what is another server's: ids, and what it had sealed.
 *
 * @param {any} item
 */
export function portable({ id, encrypted_content, status, ...item }) {
  if (item.type === "reasoning") return { summary: [], ...item };
  return item;
}
