/** A page that was frozen, hidden or offline may hold a dead socket that looks open. Returns the undoing. */
export function watchPage(look) {
  const { document } = globalThis;
  if (typeof globalThis.addEventListener !== "function" || !document) return () => {};
  const whenVisible = () => document.visibilityState === "visible" && look();
  globalThis.addEventListener("pageshow", look);
  globalThis.addEventListener("online", look);
  document.addEventListener("visibilitychange", whenVisible);
  return () => {
    globalThis.removeEventListener("pageshow", look);
    globalThis.removeEventListener("online", look);
    document.removeEventListener("visibilitychange", whenVisible);
  };
}
