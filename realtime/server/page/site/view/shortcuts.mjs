/**
 * The keys of llama.cpp's page, and Escape to stop.
 *
 * @param {{ create: () => void, search: () => void, sidebar: () => void, drawer: () => void, stop: () => void }} acts
 */
export function watchKeys(acts) {
  document.addEventListener("keydown", (event) => {
    const { key, shiftKey, ctrlKey, metaKey } = event;
    if (key === "Escape" && !document.querySelector("dialog[open]") && !(event.target instanceof HTMLInputElement)) return acts.stop();
    if (!ctrlKey && !metaKey) return;
    const act = { "shift+o": acts.create, k: acts.search, b: acts.sidebar, "shift+e": acts.drawer }[`${shiftKey ? "shift+" : ""}${key.toLowerCase()}`];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
