/**
 * A signal that aborts when the given one does, or after so many seconds; `end` lets go of both. Not `AbortSignal.any`
 * of a `timeout`: some versions of Node collect that before it fires.
 *
 * @param {number} seconds
 * @param {AbortSignal | null} [signal]
 */
export declare function deadline(seconds: number, signal?: AbortSignal | null): {
    signal: AbortSignal;
    end: () => void;
};
/**
 * What the promise gives, or a rejection as soon as the signal aborts.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
export declare function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T>;
