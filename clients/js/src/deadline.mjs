const MAX_TIMER_MS = 2 ** 31 - 1; // a longer one fires at once

/**
 * A signal that aborts when the given one does, or after so many seconds; `end` lets go of both. Not `AbortSignal.any`
 * of a `timeout`: some versions of Node collect that before it fires.
 *
 * @param {number} seconds
 * @param {AbortSignal | null} [signal]
 */
export function deadline(seconds, signal) {
  const controller = new AbortController();
  const stop = () => controller.abort(signal?.reason);
  const late = () => controller.abort(new DOMException(`nothing within ${seconds} s`, "TimeoutError"));
  const timer = setTimeout(late, Math.min(seconds * 1000, MAX_TIMER_MS));
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  };
  return { signal: controller.signal, end };
}

/**
 * What the promise gives, or a rejection as soon as the signal aborts.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
export function until(promise, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
