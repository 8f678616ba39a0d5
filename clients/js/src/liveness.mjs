/** @import { RealtimeError } from "./errors.mjs" */
/** @import { Policy } from "./policy.mjs" */
/** @import { Heartbeat, SessionState } from "./wire.d.mts" */

/**
 * One `session.update`.
 *
 * @typedef {object} Update
 * @property {UpdateMembers} members
 * @property {string} eventId
 * @property {boolean} isSent
 * @property {SessionState | null} state How the connection stands, once it is answered.
 * @property {RealtimeError | null} error
 */
/** @typedef {{ api_key?: string, heartbeat_seconds?: number }} UpdateMembers */

/** What is told and heard of the connection: `session.update`s, sent again until answered, and promised heartbeats. */
export class Liveness {
  /** @type {Set<Update>} */
  changed = new Set();
  heartbeat = /** @type {Heartbeat | null} */ (null); // the newest
  #wantedSeconds;
  #maxMissed;
  #seconds = 0; // between two heartbeats, as the server has confirmed; 0: none
  #updates = /** @type {Update[]} */ ([]); // without an answer, in the order of sending
  #own = /** @type {Update | null} */ (null); // the one that nobody asked for: each socket has another
  #numUpdates = 0;

  /** @param {Policy} policy */
  constructor({ heartbeatSeconds, maxMissedHeartbeats }) {
    this.#wantedSeconds = heartbeatSeconds;
    this.#maxMissed = maxMissedHeartbeats;
  }

  /** @param {UpdateMembers} members */
  update(members) {
    /** @type {Update} */
    const update = { members, eventId: `update.${this.#numUpdates++}`, isSent: false, state: null, error: null };
    this.#updates.push(update);
    return update;
  }

  get isWaiting() {
    return this.#updates.length > 0;
  }

  connected() {
    if (this.#wantedSeconds === null) return;
    this.#own = this.update({ heartbeat_seconds: this.#wantedSeconds });
    this.#updates.unshift(this.#own); // before what a caller wants, which is newer
    this.#updates.pop();
  }

  disconnected() {
    this.#seconds = 0;
    this.#updates = this.#updates.filter((update) => update !== this.#own);
    for (const update of this.#updates) update.isSent = false;
  }

  frames() {
    const unsent = this.#updates.filter(({ isSent }) => !isSent);
    for (const update of unsent) update.isSent = true;
    /** @param {Update} update */
    const frame = ({ eventId, members }) => ({ type: "session.update", event_id: eventId, ...members });
    return unsent.map((update) => JSON.stringify(frame(update)));
  }

  /**
   * `session.updated` answers the oldest.
   *
   * @param {SessionState} state
   */
  updated(state) {
    this.#seconds = state.heartbeat_seconds ?? 0;
    const update = this.#updates.find(({ isSent }) => isSent);
    if (!update) return;
    this.#wantedSeconds = update.members.heartbeat_seconds ?? this.#wantedSeconds;
    this.#end(update, { state });
  }

  /**
   * @param {string | undefined} eventId
   * @param {RealtimeError} error
   */
  refused(eventId, error) {
    const update = this.#updates.find((other) => other.eventId === eventId);
    if (update) this.#end(update, { error });
  }

  /** @param {RealtimeError} error */
  close(error) {
    for (const update of [...this.#updates]) this.#end(update, { error });
  }

  /**
   * When a silence since then has become too long.
   *
   * @param {number} heardAt
   */
  deadAt(heardAt) {
    return this.#seconds > 0 ? heardAt + this.#maxMissed * this.#seconds : Infinity;
  }

  /**
   * @param {Update} update
   * @param {Partial<Update>} answer
   */
  #end(update, answer) {
    Object.assign(update, answer);
    this.#updates.splice(this.#updates.indexOf(update), 1);
    this.changed.add(update);
  }
}
