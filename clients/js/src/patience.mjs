/** @import { Policy } from "./policy.mjs" */

/**
 * How long to go on trying, and how long to wait in between. Each thing that can be tried again has one: the
 * connection, a response, a request over HTTP. Pure; `now` is in seconds.
 */
export class Patience {
  #policy;
  #random;
  #attempts = 0;
  #until = 0; // go on at least so long
  /** @type {number | null} */
  #troubledSince = null;
  /** When to try again. */
  retryAt = 0;

  /**
   * @param {Policy} policy
   * @param {() => number} random
   */
  constructor(policy, random = Math.random) {
    this.#policy = policy;
    this.#random = random;
  }

  /**
   * An attempt failed: wait, no shorter than `retryAfter` says. Jittered, so that a crowd does not come back at once.
   * Returns whether there is patience left.
   *
   * @param {number} now
   * @param {{ retryAfter?: number | null }} [said]
   */
  wait(now, { retryAfter = null } = {}) {
    const { initialDelaySeconds, maxDelaySeconds, maxRetrySeconds } = this.#policy;
    const backoff = Math.min(maxDelaySeconds, initialDelaySeconds * 2 ** Math.min(this.#attempts++, 32));
    this.#troubledSince ??= now;
    this.retryAt = now + (retryAfter ?? 0) + backoff * (0.5 + this.#random() / 2);
    return this.retryAt <= Math.max(this.#troubledSince + maxRetrySeconds, this.#until);
  }

  /**
   * Do not give up before.
   *
   * @param {number} until
   */
  lastUntil(until) {
    this.#until = Math.max(this.#until, until);
  }

  /** There was progress, or nothing depends on it: the next trouble starts counting from zero. */
  settle() {
    this.#attempts = 0;
    this.#until = 0;
    this.#troubledSince = null;
    this.retryAt = 0;
  }
}
