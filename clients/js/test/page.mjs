// A page without a browser: its events, and the globals that the client looks for.

const NAMES = ["document", "addEventListener"];

/** Take it away again at the end of the test. */
export function fakePage(t) {
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  Object.assign(globalThis, { document, addEventListener: window.addEventListener.bind(window) });
  t.after(() => NAMES.forEach((name) => delete globalThis[name]));
  return {
    window: (name, members = {}) => window.dispatchEvent(Object.assign(new Event(name), members)),
    document: (name) => document.dispatchEvent(new Event(name)),
  };
}
