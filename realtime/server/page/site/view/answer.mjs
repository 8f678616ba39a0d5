import { textOf } from "../core/answer.mjs";
import { callsOf } from "../core/requests.mjs";
import { el, icon } from "./dom.mjs";
import { MarkdownView } from "./markdown.mjs";
import { t } from "./strings.mjs";

/** @import { Answer, Item } from "../core/answer.mjs" */

/**
 * @typedef {object} Acts What a card can ask for.
 * @property {() => boolean} isLast Nothing goes on from this answer yet.
 * @property {() => void} runTools
 * @property {(request: any) => boolean | null} decisionOn
 * @property {(request: any, approve: boolean) => void} approve
 */

/** The items of an answer: messages as Markdown, reasoning folded, calls as cards. */
export class AnswerView {
  #acts;
  #views = /** @type {Map<string, { type: string, root: HTMLElement, update: (item: Item, isWhole: boolean) => string }>} */ (new Map());

  /** @param {Acts} acts */
  constructor(acts) {
    this.#acts = acts;
    this.root = el("div", { class: "answer-items" });
  }

  /**
   * Show it as it is. Returns what became final, for those who listen.
   *
   * @param {Item[]} items
   * @param {boolean} isOver
   */
  update(items, isOver) {
    const ids = items.map(({ id }, at) => id || String(at));
    for (const [id, { root }] of this.#views) {
      if (ids.includes(id)) continue;
      root.remove();
      this.#views.delete(id);
    }
    const open = new Set(callsOf(items).map(({ raw }) => raw.call_id));
    const said = items.map((item, at) => {
      const asShown = /** @type {Item} */ ({ ...item, isOpen: open.has(item.raw.call_id) });
      return this.#viewOf(ids[at], item).update(asShown, item.done || isOver);
    });
    return said.filter(Boolean).join(" ");
  }

  /** @param {string} id @param {Item} item */
  #viewOf(id, item) {
    let view = this.#views.get(id);
    if (!view || view.type !== item.type) {
      view?.root.remove();
      const made = (MAKERS[item.type] ?? other)(this.#acts);
      view = { type: item.type, ...made };
      this.#views.set(id, view);
      this.root.append(view.root);
    }
    return view;
  }
}

/** @type {Record<string, (acts: Acts) => { root: HTMLElement, update: (item: any, isWhole: boolean) => string }>} */
const MAKERS = {
  message: () => {
    const view = new MarkdownView(el("div", { class: "prose" }));
    return { root: view.root, update: (item, isWhole) => view.update(textOf(item), isWhole) };
  },
  reasoning: () => {
    const label = el("span", {});
    const view = new MarkdownView(el("div", { class: "prose" }));
    const root = el("details", { class: "reasoning" }, el("summary", {}, icon("right"), label), view.root);
    const update = (/** @type {Item} */ item, /** @type {boolean} */ isWhole) => {
      const text = textOf(item);
      root.hidden = text === "" && isWhole;
      label.textContent = isWhole ? t("thought") : t("thinking");
      root.classList.toggle("is-running", !isWhole);
      view.update(text, isWhole);
      return "";
    };
    return { root, update };
  },
  function_call: (acts) =>
    card(acts, ({ raw, ...item }, body) => {
      body.append(code(textOf(item) || raw.arguments || ""));
      if (item.isOpen && acts.isLast()) body.append(el("button", { type: "button", class: "small", onclick: acts.runTools }, t("run")));
      return t("call", { name: raw.name ?? "" });
    }),
  function_call_output: (acts) =>
    card(acts, ({ raw }, body) => {
      body.append(code(typeof raw.output === "string" ? raw.output : JSON.stringify(raw.output)));
      return t("result", { name: "" }).trim();
    }),
  mcp_list_tools: (acts) =>
    card(acts, ({ raw }, body) => {
      for (const { name, description } of raw.tools ?? []) body.append(el("p", {}, el("code", {}, name), ` ${description ?? ""}`));
      if (raw.error) body.append(code(messageOf(raw.error), "wrong"));
      return raw.error ? t("mcp.list.failed", { server: raw.server_label }) : t("mcp.list", { server: raw.server_label, number: (raw.tools ?? []).length });
    }),
  mcp_call: (acts) =>
    card(acts, ({ raw, ...item }, body) => {
      body.append(code(textOf(item) || raw.arguments || ""));
      if (raw.output) body.append(code(raw.output, "result"));
      if (raw.error) body.append(code(messageOf(raw.error), "wrong"));
      return t(raw.error ? "mcp.call.failed" : "mcp.call", { server: raw.server_label, name: raw.name });
    }),
  mcp_approval_request: (acts) => {
    const said = el("p", {});
    const args = code("");
    const buttons = el("div", { class: "row" });
    const root = el("div", { class: "card approval" }, said, args, buttons);
    const decide = (/** @type {any} */ raw, /** @type {boolean} */ yes) => {
      buttons.replaceChildren();
      acts.approve(raw, yes);
    };
    const update = (/** @type {Item} */ { raw }) => {
      const decision = acts.decisionOn(raw);
      said.textContent = t("approve.ask", { server: raw.server_label, name: raw.name });
      args.textContent = raw.arguments ?? "";
      root.classList.toggle("is-decided", decision !== null);
      if (decision !== null) buttons.replaceChildren(icon(decision ? "check" : "close"), el("span", {}, t(decision ? "approved" : "denied")));
      else if (!acts.isLast()) buttons.replaceChildren();
      else if (buttons.childElementCount === 0) {
        buttons.append(
          el("button", { type: "button", class: "small primary", onclick: () => decide(raw, true) }, t("approve")),
          el("button", { type: "button", class: "small", onclick: () => decide(raw, false) }, t("deny")),
        );
      }
      return "";
    };
    return { root, update };
  },
};

const other = (/** @type {Acts} */ acts) => card(acts, ({ raw }, body) => (body.append(code(JSON.stringify(raw, null, 2))), raw.type));

/** @param {string} text @param {string} [kind] */
function code(text, kind = "") {
  return el("code", { class: `args ${kind}`, dir: "ltr" }, text);
}

/** What a tool or its server said of a failure. @param {any} error */
function messageOf(error) {
  if (typeof error === "string") return error;
  const said = Array.isArray(error.content) ? error.content.map((/** @type {any} */ part) => part.text ?? "").join("\n") : "";
  return said || (error.message ?? JSON.stringify(error));
}

/**
 * A folded card, made anew when something about it is. `fill`: puts what is in it into its body and returns its title.
 *
 * @param {Acts} acts
 * @param {(item: any, body: HTMLElement) => string} fill
 */
function card(acts, fill) {
  const title = el("span", {});
  const body = el("div", { class: "card-body" });
  const root = el("details", { class: "card" }, el("summary", {}, icon("tool"), title, icon("right")), body);
  let shown = /** @type {any[]} */ ([]);
  const update = (/** @type {Item} */ item, /** @type {boolean} */ isWhole) => {
    const state = [item.raw, textOf(item).length, isWhole, /** @type {any} */ (item).isOpen, acts.isLast()];
    if (state.every((part, at) => part === shown[at])) return "";
    shown = state;
    body.replaceChildren();
    title.textContent = fill(item, body);
    root.classList.toggle("is-running", !isWhole);
    if (/** @type {any} */ (item).isOpen && item.type === "function_call" && !root.dataset.shown) root.open = true;
    root.dataset.shown = "";
    return "";
  };
  return { root, update };
}
