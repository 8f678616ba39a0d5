import { UI } from "../core/chats.mjs";
import { exported, imported, restoring } from "../core/transfer.mjs";
import { fetchTurn } from "./fetched.mjs";
import { randomId } from "./random.mjs";

/** @import { RealtimeClient } from "../client/realtime-client.mjs" */

const PAGE = 100; // responses of a page of the list

/**
 * An export of these chats as text, with all branches. An answer that runs is in it as far as it has come.
 *
 * @param {RealtimeClient} client
 * @param {{ id: string, title: string }[]} chats
 */
export async function saveChats(client, chats) {
  const kept = [];
  for (const { id, title } of chats) {
    const responses = [];
    for await (const entry of client.responses.all({ metadata: { realtime_ui: UI, chat_id: id }, order: "asc", limit: PAGE })) {
      const { inputs, answer } = await fetchTurn(client.responses, entry.id);
      const { previous_response_id, metadata } = /** @type {any} */ (entry);
      responses.push({ id: entry.id, previous_response_id, metadata, items: [...inputs, ...answer.items.map(({ raw }) => raw)] });
    }
    kept.push({ id, title, responses });
  }
  return exported(kept);
}

/**
 * Put the chats of an export on the server, as new ones. Returns the id of the first.
 *
 * @param {RealtimeClient} client
 * @param {string} text
 */
export async function loadChats(client, text) {
  let first = "";
  for (const { title, responses } of imported(text)) {
    const chatId = randomId();
    first ||= chatId;
    const ids = /** @type {Map<string | null, string | null>} */ (new Map([[null, null]]));
    for (const kept of responses) {
      const parentId = ids.get(kept.previous_response_id) ?? null;
      const response = await client.create(/** @type {any} */ (restoring(kept, { chatId, title, parentId })));
      ids.set(kept.id, (await response.result()).id);
    }
  }
  return first;
}
