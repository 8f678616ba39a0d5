import { itemOf, textOf } from "../core/answer.mjs";
import { attachmentsOf, userMessage } from "../core/requests.mjs";
import { AnswerView } from "./answer.mjs";
import { el, icon, iconButton } from "./dom.mjs";
import { copyText } from "./markdown.mjs";
import { t } from "./strings.mjs";

/** @import { Node } from "../app/chat.mjs" */

/** A question and its answer, with what can be done about them. */
export class TurnView {
  #chat;
  #node = /** @type {Node} */ (/** @type {unknown} */ (null));
  #question = el("article", { class: "question", "aria-label": t("you") });
  #answer = el("article", { class: "answer", "aria-label": t("answer") });
  #items;
  #note = el("p", { class: "note", hidden: true });
  #below = el("div", { class: "below" });
  #shownQuestion = /** @type {any[]} */ ([]);
  #shownBelow = "";
  root = el("section", { class: "turn" }, this.#question, this.#answer);

  /** @param {import("../app/chat.mjs").Chat} chat */
  constructor(chat) {
    this.#chat = chat;
    this.#items = new AnswerView({
      isLast: () => chat.leaf === this.#node.entry.id,
      runTools: () => chat.runTools(this.#node),
      decisionOn: (request) => chat.decisionOn(request),
      approve: (request, yes) => chat.approve(this.#node, request, yes),
    });
    this.#answer.append(this.#items.root, this.#note, this.#below);
  }

  /** Show it as it is; returns what became final of the answer. @param {Node} node */
  update(node) {
    this.#node = node;
    const { answer, inputs } = node;
    const isQuestion = (/** @type {any} */ { role }) => role === "user";
    const more = inputs.filter((item) => !isQuestion(item) && item.type !== "mcp_approval_response");
    const items = [...more.map((item, at) => ({ ...itemOf(item, true), id: `input-${at}` })), ...answer.items];
    this.#showQuestion(inputs.findLast(isQuestion));
    const said = this.#items.update(items, answer.over);
    this.#answer.classList.toggle("is-running", !answer.over);
    this.#answer.classList.toggle("is-empty", !answer.over && items.length === 0);
    this.#answer.setAttribute("aria-busy", String(!answer.over));
    this.#showNote();
    this.#showBelow(items);
    return said;
  }

  /** @param {any} message */
  #showQuestion(message) {
    this.#question.hidden = !message;
    this.root.classList.toggle("goes-on", !message);
    if (!message) return;
    const { questions } = this.#chat.tree.variants(this.#node.entry.id);
    const state = [message, questions.join(), this.#node.entry.id, this.#node.answer.over];
    if (state.every((part, at) => part === this.#shownQuestion[at])) return;
    this.#shownQuestion = state;
    const text = textOf(itemOf(message, true));
    const edit = this.#node.answer.over && iconButton("edit", t("edit"), () => this.#edit(message, text));
    const files = attachmentsOf(message);
    this.#question.replaceChildren(
      files.length > 0 ? el("div", { class: "attachments" }, files.map(attachment)) : "",
      el("p", { class: "asked", dir: "auto" }, text),
      el("div", { class: "below" }, this.#arrows(questions), edit),
    );
  }

  /** @param {any} message @param {string} text */
  #edit(message, text) {
    const field = el("textarea", { dir: "auto", "aria-label": t("edit"), rows: Math.min(12, text.split("\n").length + 1) });
    field.value = text;
    const close = () => {
      this.#shownQuestion = [];
      this.#showQuestion(message);
    };
    const ask = () => {
      const files = attachmentsOf(message);
      close();
      if (field.value.trim()) this.#chat.edit(this.#node, userMessage(field.value, files));
    };
    const keys = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape") close();
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) event.preventDefault(), ask();
    };
    field.addEventListener("keydown", keys);
    const buttons = el("div", { class: "row" },
      el("button", { type: "button", class: "small", onclick: close }, t("cancel")),
      el("button", { type: "button", class: "small primary", onclick: ask }, t("ask.again"))); // prettier-ignore
    this.#question.replaceChildren(el("div", { class: "editing" }, field, buttons));
    field.focus();
  }

  #showNote() {
    const note = this.#noteText();
    this.#note.hidden = note === "";
    if (this.#note.textContent !== note) this.#note.textContent = note;
  }

  #noteText() {
    const { answer, live } = this.#node;
    if (live?.isStopping) return `${t("stopping")} …`;
    if (answer.status === "failed") return `${t("failed")}: ${answer.error?.message ?? answer.error?.code ?? ""}`;
    if (answer.status === "cancelled") return answer.truncated ? t("cut") : t("stopped");
    if (answer.reason === "max_output_tokens") return t("max");
    if (answer.reason === "client_disconnected") return t("gone");
    return "";
  }

  /** @param {import("../core/answer.mjs").Item[]} items */
  #showBelow(items) {
    const { answers } = this.#chat.tree.variants(this.#node.entry.id);
    const state = JSON.stringify([answers, this.#node.entry.id, this.#node.answer.status]);
    if (state === this.#shownBelow) return;
    this.#shownBelow = state;
    const { over } = this.#node.answer;
    const text = () => items.filter(({ type }) => type === "message").map(textOf).join("\n\n");
    const copy = iconButton("copy", t("copy"), () => copyText(copy, text()));
    const again = () => this.#chat.regenerate(this.#node);
    const isFailed = this.#node.answer.status === "failed";
    this.#below.replaceChildren(...[
      isFailed && el("button", { type: "button", class: "small", onclick: again }, t("again")),
      this.#arrows(answers),
      over && copy,
      over && iconButton("redo", t("regenerate"), again, { class: "icon-button regenerate" }),
    ].filter(Boolean)); // prettier-ignore
  }

  /** @param {string[]} ids */
  #arrows(ids) {
    if (ids.length < 2) return "";
    const at = ids.indexOf(this.#node.entry.id);
    const go = (/** @type {number} */ to) => this.#chat.select(ids[to]);
    return el("span", { class: "arrows" },
      iconButton("left", t("earlier"), () => go(at - 1), { disabled: at <= 0 }),
      el("span", {}, t("version", { number: at + 1, total: ids.length })),
      iconButton("right", t("later"), () => go(at + 1), { disabled: at === ids.length - 1 })); // prettier-ignore
  }
}

/** @param {{ kind: string, name: string, url: string }} file */
export function attachment({ kind, name, url }) {
  if (kind === "image" && url.startsWith("data:image/")) return el("img", { class: "attached", src: url, alt: name });
  return el("span", { class: "attached file" }, icon("attach"), name || url.slice(0, 40));
}
