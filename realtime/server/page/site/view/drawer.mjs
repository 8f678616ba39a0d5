import { el, iconButton } from "./dom.mjs";
import { t } from "./strings.mjs";

/** @import { Live } from "../app/live.mjs" */

const MAX_ROWS = 300;

/** The developer's drawer: what the server said, with numbers and times, and buttons that are a bad network. */
export class Drawer {
  #live = /** @type {Live | null} */ (null);
  #timer = 0;
  #shown = 0;
  #first = number("first");
  #gap = number("gap");
  #rate = number("rate");
  #count = number("events");
  #plot = el("canvas", { class: "plot", width: 640, height: 160, role: "img" });
  #receipt = el("pre", { tabindex: "0", "aria-label": t("receipt") });
  #receiptPart = el("section", { hidden: true }, el("h3", {}, t("receipt")), this.#receipt);
  #rows = el("ol", { class: "events", tabindex: "0", "aria-label": t("events") });
  #none = el("p", { class: "note" }, t("drawer.none"));
  #at = el("input", { type: "number", min: -1, value: 0, "aria-label": t("net.restart"), class: "cursor" });
  root = el("aside", { id: "drawer", "aria-label": t("drawer"), hidden: true });

  /** @param {{ cut: () => void, swallow: () => void, close: () => void }} acts */
  constructor({ cut, swallow, close }) {
    const restart = () => this.#live?.restartAt(this.#at.valueAsNumber || 0).catch(() => {});
    this.root.append(
      el("header", {}, el("h2", {}, t("drawer")), iconButton("close", t("drawer"), close)),
      el("div", { class: "row wrap" },
        el("button", { type: "button", class: "small", onclick: cut, id: "net-cut" }, t("net.cut")),
        el("button", { type: "button", class: "small", onclick: swallow, id: "net-swallow" }, t("net.swallow"))),
      el("div", { class: "row wrap" }, el("button", { type: "button", class: "small", onclick: restart, id: "net-restart" }, t("net.restart")), this.#at),
      el("dl", { class: "numbers" }, this.#first.root, this.#gap.root, this.#rate.root, this.#count.root),
      this.#plot, this.#receiptPart, el("h3", {}, t("events")), this.#none, this.#rows,
    ); // prettier-ignore
  }

  /** @param {boolean} isOpen */
  toggle(isOpen) {
    this.root.hidden = !isOpen;
    clearInterval(this.#timer);
    if (!isOpen) return;
    this.#timer = setInterval(() => this.#draw(), 200);
    this.#draw();
  }

  /** @param {Live | null} live Whose events are shown from now on; null keeps the last one's. */
  follow(live) {
    if (live === null || live === this.#live) return;
    this.#live = live;
    this.#shown = 0;
    this.#rows.replaceChildren();
  }

  #draw() {
    const live = this.#live;
    this.#none.hidden = live !== null;
    if (live === null) return;
    const { numbers, events, answer } = live;
    this.#first.show(milliseconds(numbers.firstTokenMs));
    this.#gap.show(`${milliseconds(numbers.gapAt(0.5))} · ${milliseconds(numbers.gapAt(0.99))}`);
    this.#rate.show(numbers.perSecond?.toFixed(1) ?? "–");
    this.#count.show(String(numbers.numEvents));
    if (events.length < this.#shown) {
      this.#shown = 0;
      this.#rows.replaceChildren();
    }
    if (events.length === this.#shown) return this.#drawReceipt(answer);
    const from = Math.max(this.#shown, events.length - MAX_ROWS);
    const begin = events[0].at;
    this.#rows.append(...events.slice(from).map(({ event, at }) => row(event, at - begin)));
    while (this.#rows.childElementCount > MAX_ROWS) this.#rows.firstChild.remove();
    this.#rows.scrollTop = this.#rows.scrollHeight;
    this.#shown = events.length;
    this.#plot.setAttribute("aria-label", t("plot", { from: milliseconds(numbers.gapAt(0)), to: milliseconds(numbers.gapAt(1)) }));
    import("./plot.mjs").then(({ drawPlot }) => drawPlot(this.#plot, numbers)).catch(() => {});
    this.#drawReceipt(answer);
  }

  /** @param {any} answer */
  #drawReceipt({ receipt }) {
    this.#receiptPart.hidden = !receipt;
    const text = receipt ? JSON.stringify(receipt, null, 2) : "";
    if (this.#receipt.textContent !== text) this.#receipt.textContent = text;
  }
}

/** @param {string} key */
function number(key) {
  const value = el("dd", {}, "–");
  return { root: el("div", {}, el("dt", {}, t(key)), value), show: (/** @type {string} */ text) => (value.textContent = text) };
}

/** @param {number | null} value */
export function milliseconds(value) {
  return value === null ? "–" : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** @param {any} event @param {number} at */
function row(event, at) {
  const { sequence_number, first_sequence_number, type, delta } = event;
  const numbers = first_sequence_number === undefined ? String(sequence_number) : `${first_sequence_number}–${sequence_number}`;
  const merged = first_sequence_number !== undefined && first_sequence_number !== sequence_number;
  return el("li", { class: merged ? "merged" : "" },
    el("span", { class: "number" }, numbers),
    el("span", { class: "type" }, type.replace(/^response\./, "")),
    el("span", { class: "delta" }, typeof delta === "string" ? JSON.stringify(delta.slice(0, 60)) : ""),
    el("span", { class: "at" }, `${(at / 1000).toFixed(2)} s`)); // prettier-ignore
}
