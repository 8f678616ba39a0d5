/** Seconds of a clock that never goes back. */
export declare const now: () => number;
