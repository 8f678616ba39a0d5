import { IDLE, ResponseStore } from "./response-store.mjs";
import { Store } from "./store.mjs";

/** @import { RealtimeClient } from "../client.mjs" */
/** @import { Input } from "../inputs.mjs" */
/** @import { FinalResponse } from "../track.mjs" */
/** @import { CreateBody } from "../tracks.mjs" */
/** @import { ResponseSnapshot } from "./response-store.mjs" */
/** @import { ConversationItems } from "../wire.d.mts" */

/** @typedef {ConversationItems["data"][number]} ConversationItem */
/**
 * @typedef {object} ConversationSnapshot
 * @property {"loading" | "ready" | "failed"} status
 * @property {ConversationItem[]} items What is in the conversation; of a turn that runs, what it was given.
 * @property {ResponseSnapshot} response The answer that is not among the items yet; idle if there is none.
 * @property {Error | null} error
 */

/**
 * A conversation as a component shows it: its items, and the response that runs in it, whoever started that.
 *
 * @extends {Store<ConversationSnapshot>}
 */
export class ConversationStore extends Store {
  #client;
  #id;
  #response;
  #loading = 0; // the newest load: an older one changes nothing
  #isReleased = false;

  /**
   * @param {RealtimeClient} client
   * @param {string} id
   */
  constructor(client, id) {
    super({ status: "loading", items: [], response: IDLE, error: null });
    this.#client = client;
    this.#id = id;
    this.#response = new ResponseStore(client);
    this.#response.subscribe(() => this.set({ response: this.#response.getSnapshot() }));
  }

  /** Fetch the items, and follow what runs. Resolves when the items are here. */
  load = async () => {
    this.#isReleased = false;
    const loading = ++this.#loading;
    const isStale = () => this.#isReleased || loading !== this.#loading;
    try {
      const { running_responses = [] } = await this.#client.conversations.retrieve(this.#id);
      const items = await this.#items();
      const newest = running_responses.at(-1);
      const running = items.some(({ response_id }) => response_id === newest) ? undefined : newest; // over meanwhile
      if (running !== undefined) {
        const { data } = await this.#client.responses.inputItems(running, { order: "asc", limit: 100 });
        items.push(.../** @type {ConversationItem[]} */ (data));
      }
      if (isStale()) return;
      this.set({ status: "ready", items, error: null });
      if (running !== undefined) this.#showing(this.#response.resume({ response_id: running }));
    } catch (error) {
      if (!isStale()) this.set({ status: "failed", error: /** @type {Error} */ (error) });
    }
  };

  /**
   * The next turn. Resolves at its end, to the final response; null: it is no longer followed, or failed.
   *
   * @param {Input} input
   * @param {Partial<CreateBody>} [body]
   */
  send = (input, body = {}) => {
    const content = typeof input === "string" ? [{ type: "message", role: "user", content: input }] : input;
    const items = /** @type {ConversationItem[]} */ ([...this.getSnapshot().items, ...content]);
    this.set({ items });
    const on_disconnect = /** @type {const} */ ({ policy: "continue" }); // a page that is reloaded comes back
    return this.#showing(this.#response.create({ on_disconnect, ...body, input, conversation: this.#id }));
  };

  /** Stop the response that runs. */
  stop = () => this.#response.stop();

  /** Let go of what runs; it goes on at the server. */
  release = () => {
    this.#isReleased = true;
    this.#response.release();
  };

  async #items() {
    const items = /** @type {ConversationItem[]} */ ([]);
    for await (const item of this.#client.conversations.allItems(this.#id, { order: "asc", limit: 100 })) items.push(item);
    return items;
  }

  /**
   * At its end the conversation has what is kept of it.
   *
   * @param {Promise<FinalResponse | null>} turn
   */
  async #showing(turn) {
    const final = await turn;
    if (this.#isReleased || final === null) return final;
    try {
      const items = await this.#items();
      if (this.#isReleased) return final;
      this.#response.clear();
      this.set({ items, response: IDLE });
    } catch (error) {
      this.set({ error: /** @type {Error} */ (error) });
    }
    return final;
  }
}
