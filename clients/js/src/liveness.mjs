/** What is told and heard of the connection: `session.update`s, sent again until answered, and promised heartbeats. */
export class Liveness {
  changed = new Set();
  heartbeat = null; // the newest
  #wantedSeconds;
  #maxMissed;
  #seconds = 0; // between two heartbeats, as the server has confirmed; 0: none
  #updates = []; // without an answer, in the order of sending
  #own = null; // the one that nobody asked for: each socket has another
  #numUpdates = 0;

  constructor({ heartbeatSeconds, maxMissedHeartbeats }) {
    if (heartbeatSeconds !== null && heartbeatSeconds > 0 && heartbeatSeconds < 1) {
      throw new RangeError("heartbeatSeconds must be 0, which is never, or at least 1");
    }
    if (maxMissedHeartbeats < 1) throw new RangeError("maxMissedHeartbeats must be at least 1");
    this.#wantedSeconds = heartbeatSeconds;
    this.#maxMissed = maxMissedHeartbeats;
  }

  update(members) {
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
    this.#updates.unshift(this.#updates.pop()); // what a caller wants is newer
  }

  disconnected() {
    this.#seconds = 0;
    this.#updates = this.#updates.filter((update) => update !== this.#own);
    for (const update of this.#updates) update.isSent = false;
  }

  frames() {
    const unsent = this.#updates.filter(({ isSent }) => !isSent);
    for (const update of unsent) update.isSent = true;
    const frame = ({ eventId, members }) => ({ type: "session.update", event_id: eventId, ...members });
    return unsent.map((update) => JSON.stringify(frame(update)));
  }

  /** `session.updated` answers the oldest. */
  updated(state) {
    this.#seconds = state.heartbeat_seconds ?? 0;
    const update = this.#updates.find(({ isSent }) => isSent);
    if (!update) return;
    this.#wantedSeconds = update.members.heartbeat_seconds ?? this.#wantedSeconds;
    this.#end(update, { state });
  }

  refused(eventId, error) {
    const update = this.#updates.find((other) => other.eventId === eventId);
    if (update) this.#end(update, { error });
  }

  close(error) {
    for (const update of [...this.#updates]) this.#end(update, { error });
  }

  /** When a silence since then has become too long. */
  deadAt(heardAt) {
    return this.#seconds > 0 ? heardAt + this.#maxMissed * this.#seconds : Infinity;
  }

  #end(update, answer) {
    Object.assign(update, answer);
    this.#updates.splice(this.#updates.indexOf(update), 1);
    this.changed.add(update);
  }
}
