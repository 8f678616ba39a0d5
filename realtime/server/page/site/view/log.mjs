import { el } from "./dom.mjs";
import { t } from "./strings.mjs";
import { TurnView } from "./turn.mjs";

const NEAR_END = 80; // pixels: whoever is this near to the end is taken along

/**
 * The questions and answers of the open chat: the one `log` of the page. A frame shows what has come since the last one.
 */
export class LogView {
  #chat = /** @type {import("../app/chat.mjs").Chat | null} */ (null);
  #views = /** @type {Map<string, TurnView>} */ (new Map());
  #isDue = false;
  #announce;
  #painted;
  root = el("div", { role: "log", id: "log", "aria-live": "off", "aria-label": t("chats"), tabindex: "0" });

  /**
   * @param {HTMLElement} scroller
   * @param {{ announce: (text: string) => void, painted: () => void }} told
   */
  constructor(scroller, { announce, painted }) {
    this.scroller = scroller;
    this.#announce = announce;
    this.#painted = painted;
  }

  /** @param {import("../app/chat.mjs").Chat} chat */
  show(chat) {
    this.#chat = chat;
    this.#views.clear();
    this.root.replaceChildren();
    const due = () => this.paintSoon();
    chat.addEventListener("change", due);
    chat.addEventListener("live", due);
    this.paintSoon();
  }

  /** At most once a frame; a page that nobody sees waits. */
  paintSoon() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#paint();
    });
  }

  /** @param {boolean} [isSlow] For somebody to see the way. */
  scrollToEnd(isSlow = false) {
    const behavior = isSlow && !matchMedia("(prefers-reduced-motion: reduce)").matches ? "smooth" : "instant";
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior });
  }

  /** Bring a shown turn to the top; false where there is none. @param {string} id */
  reveal(id) {
    const node = this.#chat?.nodes.find(({ entry }) => entry.id === id);
    const view = node && this.#views.get(node.key);
    view?.root.scrollIntoView({ block: "start" });
    return view !== undefined;
  }

  get isNearEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_END;
  }

  #paint() {
    const nodes = this.#chat?.nodes ?? [];
    const isNear = this.isNearEnd;
    const keys = new Set(nodes.map(({ key }) => key));
    for (const [key, { root }] of this.#views) {
      if (keys.has(key)) continue;
      root.remove();
      this.#views.delete(key);
    }
    nodes.forEach((node, at) => this.#paintTurn(node, at));
    if (isNear) this.scrollToEnd();
    this.#painted();
  }

  /** @param {import("../app/chat.mjs").Node} node @param {number} at */
  #paintTurn(node, at) {
    let view = this.#views.get(node.key);
    if (!view) {
      view = new TurnView(/** @type {any} */ (this.#chat));
      this.#views.set(node.key, view);
    }
    if (this.root.children[at] !== view.root) this.root.insertBefore(view.root, this.root.children[at] ?? null);
    const said = view.update(node);
    if (!node.live) return;
    node.live.painted = node.answer.tip;
    if (said) this.#announce(said);
  }
}
