import { excerpt, wordsOf } from "../core/search.mjs";
import { fetchTurn, wordsOfTurn } from "./fetched.mjs";

/** @import { Chat } from "../core/chats.mjs" */
/** @import { Hit } from "../core/search.mjs" */

const MAX_TURNS = 400; // whose texts one search fetches; those that are here cost nothing
const MAX_CHARACTERS = 4_000_000; // that stay here
const AT_ONCE = 4;

/**
 * Search in what was said. The server lists chats without their texts, so the page fetches them, the newest first, and
 * keeps them until it is closed.
 */
export class Texts {
  #responses;
  #kept = /** @type {Map<string, string>} */ (new Map()); // of finished turns, which do not change
  #size = 0;
  #search = 0;

  /** @param {() => any} responses */
  constructor(responses) {
    this.#responses = responses;
  }

  /**
   * Look through these chats; another search ends this one.
   *
   * @param {Chat[]} chats
   * @param {string} text
   * @param {(found: { hits: Map<string, Hit>, looked: number, total: number, isOver: boolean }) => void} told Now and then.
   */
  async find(chats, text, told) {
    const number = ++this.#search;
    const words = wordsOf(text);
    const hits = /** @type {Map<string, Hit>} */ (new Map());
    const turns = chats.flatMap(({ id, responses }) => responses.map((entry) => ({ chatId: id, entry })).reverse());
    let [next, looked, fetched] = [0, 0, 0];
    const tell = (/** @type {boolean} */ isOver) => told({ hits, looked, total: turns.length, isOver });
    const work = async () => {
      while (next < turns.length && number === this.#search) {
        const { chatId, entry } = turns[next++];
        if (hits.has(chatId)) looked++;
        else if (this.#kept.has(entry.id) || fetched++ < MAX_TURNS) {
          const found = excerpt(await this.#textOf(entry).catch(() => ""), words);
          if (found && !hits.has(chatId)) hits.set(chatId, { responseId: entry.id, ...found });
          if (++looked % 25 === 0 && number === this.#search) tell(false);
        }
      }
    };
    if (words.length > 0) await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (number === this.#search) tell(true);
  }

  /** @param {import("../core/tree.mjs").Entry} entry */
  async #textOf({ id }) {
    const kept = this.#kept.get(id);
    if (kept !== undefined) return kept;
    const turn = await fetchTurn(this.#responses(), id);
    const text = wordsOfTurn(turn);
    if (turn.answer.over) this.#keep(id, text);
    return text;
  }

  /** @param {string} id @param {string} text */
  #keep(id, text) {
    if (this.#kept.has(id)) return;
    this.#kept.set(id, text);
    this.#size += text.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#size <= MAX_CHARACTERS) break;
      this.#kept.delete(oldest);
      this.#size -= length;
    }
  }
}
