/** How fast an answer came, as this page saw it. Pure: times are given, in milliseconds. */
export class Numbers {
  startedAt = /** @type {number | null} */ (null);
  firstAt = /** @type {number | null} */ (null);
  #lastAt = 0;
  gaps = /** @type {number[]} */ ([]);
  numEvents = 0;
  numBytes = 0;

  /** @param {number} now */
  start(now) {
    this.startedAt = now;
  }

  /**
   * @param {any} event
   * @param {number} now
   */
  take(event, now) {
    this.numEvents += 1 + event.sequence_number - (event.first_sequence_number ?? event.sequence_number);
    if (!event.type.endsWith(".delta")) return;
    if (this.firstAt === null) this.firstAt = now;
    else this.gaps.push(now - this.#lastAt);
    this.#lastAt = now;
  }

  /** Time to the first token; null when this page did not see the beginning. */
  get firstTokenMs() {
    return this.startedAt === null || this.firstAt === null ? null : this.firstAt - this.startedAt;
  }

  /** @param {number} share */
  gapAt(share) {
    if (this.gaps.length === 0) return null;
    const sorted = [...this.gaps].sort((one, other) => one - other);
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  }

  get perSecond() {
    const span = this.gaps.reduce((sum, gap) => sum + gap, 0);
    return span === 0 ? null : (1000 * this.gaps.length) / span;
  }
}
