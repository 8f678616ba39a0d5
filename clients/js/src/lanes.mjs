/**
 * The lane of a request that the caller has named: the same in every process, as the body of a retry must be.
 *
 * @param {string} requestId
 */
export function laneOfRequest(requestId) {
  const sum = new TextEncoder().encode(requestId).reduce((total, byte) => total + byte, 0);
  return `request-${sum % 8}`;
}

/**
 * Which lane (`stream_id`) a create goes to. A lane runs one response at a time, `response.created` names the lane and
 * not the request, and a server keeps a `store: false` answer only as the last of its lane: so one at a time in a
 * lane, a continuation where its parent is, other work in the lane that was idle longest.
 */
export class Lanes {
  /** @type {Map<string, string | null>} lane -> id of its last response; least recently used first */
  #last = new Map();

  /**
   * @param {string} prefix
   * @param {number} count
   */
  constructor(prefix, count) {
    for (let index = 0; index < count; index++) this.#last.set(`${prefix}-${index}`, null);
  }

  /**
   * `held`: the lanes in which the server holds input for what continues a response. That create must go there, whoever
   * the lane belongs to; any other one there has the input given back, so there it goes last.
   *
   * @param {Set<string | null>} busy
   * @param {string | null} previousResponseId
   * @param {Map<string, string | null>} held
   */
  choose(busy, previousResponseId, held) {
    for (const [lane, parent] of held) {
      if (previousResponseId !== null && parent === previousResponseId) return busy.has(lane) ? null : lane;
    }
    const idle = [...this.#last.keys()].filter((lane) => !busy.has(lane));
    const free = [...idle.filter((lane) => !held.has(lane)), ...idle.filter((lane) => held.has(lane))];
    const home = previousResponseId && free.find((lane) => this.#last.get(lane) === previousResponseId);
    return home || free[0] || null;
  }

  /**
   * @param {string | null} lane
   * @param {string} responseId
   */
  used(lane, responseId) {
    if (lane !== null && this.#last.delete(lane)) this.#last.set(lane, responseId);
  }
}
