/** @import { Policy } from "./policy.mjs" */
import type { Policy } from "./policy.mjs";
/**
 * How long to go on trying, and how long to wait in between. Each thing that can be tried again has one: the
 * connection, a response, a request over HTTP. Pure; `now` is in seconds.
 */
export declare class Patience {
    #private;
    /** When to try again. */
    retryAt: number;
    /**
     * @param {Policy} policy
     * @param {() => number} random
     */
    constructor(policy: Policy, random?: () => number);
    /**
     * An attempt failed: wait, no shorter than `retryAfter` says. Jittered, so that a crowd does not come back at once.
     * Returns whether there is patience left.
     *
     * @param {number} now
     * @param {{ retryAfter?: number | null }} [said]
     */
    wait(now: number, { retryAfter }?: {
        retryAfter?: number | null;
    }): boolean;
    /**
     * Do not give up before.
     *
     * @param {number} until
     */
    lastUntil(until: number): void;
    /** There was progress, or nothing depends on it: the next trouble starts counting from zero. */
    settle(): void;
}
