const POLL_MS = 4000;

/**
 * News of other tabs and other devices: tabs tell each other at once, devices are found by asking the server now and
 * then, while somebody looks.
 *
 * @param {(chatId: string | null) => void} news Of this chat; null: of any.
 */
export function watchOthers(news) {
  const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("realtime.chats") : null;
  channel?.addEventListener("message", ({ data }) => news(String(data)));
  setInterval(() => document.visibilityState === "visible" && news(null), POLL_MS);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && news(null));
  return { tell: (/** @type {string} */ chatId) => channel?.postMessage(chatId) };
}
