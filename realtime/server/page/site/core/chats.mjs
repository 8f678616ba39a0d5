/** The list of chats, from lists of responses and of names. Pure. */

export const UI = "chat"; // metadata.realtime_ui of all that belongs to this page
const MAX_TITLE = 80;

/** @typedef {import("./tree.mjs").Entry} Entry */
/** @typedef {{ id: string, title: string, at: number, running: boolean, responses: Entry[] }} Chat */

/**
 * Chats, that with the newest response first.
 *
 * @param {Iterable<Entry>} responses Newest first.
 * @param {Map<string, string>} names Of chats that were renamed.
 */
export function chatsOf(responses, names) {
  const chats = /** @type {Map<string, Chat>} */ (new Map());
  for (const response of responses) {
    const id = response.metadata?.chat_id;
    if (!id) continue;
    const chat = chats.get(id) ?? { id, title: "", at: response.created_at, running: false, responses: [] };
    chats.set(id, chat);
    chat.title = names.get(id) ?? (chat.title || response.metadata.chat_title || "");
    chat.running ||= response.status === "in_progress" || response.status === "queued";
    chat.responses.unshift(response);
  }
  return [...chats.values()];
}

/** @param {string} text */
export function titleOf(text) {
  const line = text.replace(/\s+/g, " ").trim();
  const characters = [...line];
  return characters.length <= MAX_TITLE ? line : `${characters.slice(0, MAX_TITLE - 1).join("").trimEnd()}…`;
}
