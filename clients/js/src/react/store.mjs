const FRAME_MS = 16; // not requestAnimationFrame: hidden pages have none

/**
 * What a component shows, outside of React: told at most once a frame, however fast it changes.
 *
 * @template Snapshot
 */
export class Store {
  #snapshot;
  #listeners = /** @type {Set<() => void>} */ (new Set());
  #isDue = false;

  /** @param {Snapshot} snapshot */
  constructor(snapshot) {
    this.#snapshot = snapshot;
  }

  subscribe = (/** @type {() => void} */ listener) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  getSnapshot = () => this.#snapshot;

  /** @param {Partial<Snapshot>} changes */
  set(changes) {
    this.#snapshot = { ...this.#snapshot, ...changes };
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => {
      this.#isDue = false;
      for (const listener of [...this.#listeners]) listener();
    }, FRAME_MS);
  }
}
