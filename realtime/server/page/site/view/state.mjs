import { el } from "./dom.mjs";
import { counted, t } from "./strings.mjs";

const SHOWN_MS = 4000;

/** One small honest line: how the connection stands, and what a resume brought. */
export class StateView {
  #timer = 0;
  #text = el("span", {});
  #isLasting = false;
  root = el("div", { id: "state", role: "status", hidden: true }, el("span", { class: "dot" }), this.#text);

  /** @param {"idle" | "connecting" | "open" | "reconnecting" | "closed" | "swallowed"} state */
  showConnection(state) {
    this.root.dataset.state = state;
    this.#isLasting = !["open", "idle", "closed"].includes(state); // idle: nothing is wanted of a socket
    if (this.#isLasting) this.#show(`${t(`state.${state}`)} …`);
    else if (!this.#timer) this.root.hidden = true;
  }

  /** @param {number} number */
  showCaughtUp(number) {
    if (number > 0) this.say(counted("caught", number));
  }

  /** Say something for a while. @param {string} text */
  say(text) {
    this.#show(text);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      if (!this.#isLasting) this.root.hidden = true;
    }, SHOWN_MS);
  }

  /** @param {string} text */
  #show(text) {
    this.#text.textContent = text;
    this.root.hidden = false;
  }
}
