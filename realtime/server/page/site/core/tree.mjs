/**
 * The branches of one chat: responses, each behind the one that it continues. Pure.
 *
 * @typedef {object} Entry A response as a list has it.
 * @property {string} id
 * @property {string | null} previous_response_id
 * @property {Record<string, string>} metadata
 * @property {string} status
 * @property {number} created_at
 */

/** Children in the order in which they began; a question is what responses share that were asked the same. */
export class Tree {
  #entries = /** @type {Map<string, Entry>} */ (new Map());
  #children = /** @type {Map<string | null, string[]>} */ (new Map());

  /** @param {Iterable<Entry>} entries Oldest first. */
  constructor(entries = []) {
    for (const entry of entries) this.add(entry);
  }

  get size() {
    return this.#entries.size;
  }

  get entries() {
    return [...this.#entries.values()];
  }

  /** @param {string} id */
  get(id) {
    return this.#entries.get(id);
  }

  /**
   * Add a response, or what is new about one.
   *
   * @param {Entry} entry
   */
  add(entry) {
    const isNew = !this.#entries.has(entry.id);
    this.#entries.set(entry.id, entry);
    if (isNew) {
      const siblings = this.#children.get(entry.previous_response_id) ?? [];
      this.#children.set(entry.previous_response_id, [...siblings, entry.id]);
    }
    return isNew;
  }

  /** The newest response that began last. */
  get newest() {
    return this.entries.at(-1) ?? null;
  }

  /**
   * From the first question to this response.
   *
   * @param {string | null} id
   */
  path(id) {
    const path = /** @type {Entry[]} */ ([]);
    for (let entry = id === null ? undefined : this.get(id); entry; entry = this.get(entry.previous_response_id ?? "")) {
      if (path.includes(entry)) break; // a server's mistake must not hang a page
      path.unshift(entry);
    }
    return path;
  }

  /**
   * The newest end of what goes on from here.
   *
   * @param {string} id
   */
  leafBelow(id) {
    for (let steps = this.size; steps > 0; steps--) {
      const next = this.#children.get(id)?.at(-1);
      if (next === undefined) break;
      id = next;
    }
    return id;
  }

  /**
   * What else was asked in this place, and what else was answered: ids, the newest answer of each question.
   *
   * @param {string} id
   */
  variants(id) {
    const siblings = this.#siblings(id);
    const questions = /** @type {Map<string, string[]>} */ (new Map());
    for (const sibling of siblings) {
      const question = this.questionOf(sibling);
      questions.set(question, [...(questions.get(question) ?? []), sibling]);
    }
    const answers = questions.get(this.questionOf(id)) ?? [id];
    const others = [...questions.values()].map((some) => (some.includes(id) ? id : /** @type {string} */ (some.at(-1))));
    return { questions: others, answers };
  }

  /** @param {string} id */
  questionOf(id) {
    return this.get(id)?.metadata?.chat_input ?? id;
  }

  /** @param {string} id */
  #siblings(id) {
    const parent = this.get(id)?.previous_response_id ?? null;
    if (parent !== null && !this.#entries.has(parent)) return [id]; // what it continued is gone
    return this.#children.get(parent) ?? [id];
  }
}
