/**
 * What a page is told of its life and of its network. A page that was frozen, hidden or offline may hold a dead socket
 * that looks open; one that goes into the back/forward cache may hold none at all. Returns the undoing; where there is
 * no page, nothing is watched.
 *
 * @param {{ check: () => void, online: () => void, sleep: () => void, wake: () => void }} told `check`: see whether the
 *   socket lives; `online`: the network is back, and what is being opened may never be; `sleep`: nothing runs until
 *   `wake`.
 * @returns {() => void}
 */
export function watchPage({ check, online, sleep, wake }) {
  const { document } = globalThis;
  if (typeof globalThis.addEventListener !== "function" || !document) return () => {};
  const watching = new AbortController();
  /** @type {(target: EventTarget, name: string, listener: (event: any) => void) => void} */
  const listen = (target, name, listener) => target.addEventListener(name, listener, { signal: watching.signal });
  const window = /** @type {EventTarget} */ (/** @type {unknown} */ (globalThis));
  listen(window, "pageshow", wake);
  listen(window, "pagehide", ({ persisted }) => persisted && sleep());
  listen(window, "online", online);
  listen(window, "offline", check);
  listen(document, "visibilitychange", () => document.visibilityState === "visible" && check());
  listen(document, "freeze", sleep);
  listen(document, "resume", wake);
  return () => watching.abort();
}
