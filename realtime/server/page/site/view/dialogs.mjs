import { el, iconButton } from "./dom.mjs";
import { LANGUAGE_NAMES, t } from "./strings.mjs";

/** Settings, the question for a key, and the question whether one is sure: the browser's own dialogs' frames. */

/**
 * @param {string} title
 * @param {any[]} content
 */
function dialog(title, content) {
  const root = /** @type {HTMLDialogElement} */ (el("dialog", { "aria-label": title, tabindex: "-1" }));
  const close = () => root.close();
  root.append(el("form", { method: "dialog" }, el("header", {}, el("h2", {}, title), iconButton("close", t("cancel"), close)), content));
  root.addEventListener("click", ({ target }) => target === root && close());
  root.addEventListener("close", () => root.remove());
  (document.getElementById("dialogs") ?? document.body).append(root);
  root.showModal();
  root.focus(); // not its first button
  return root;
}

/**
 * @param {string} label
 * @param {any} field
 * @param {string} [hint]
 */
const labelled = (label, field, hint) => el("label", {}, el("span", {}, label), field, hint && el("small", {}, hint));

/**
 * @param {Record<string, string>} options
 * @param {string} value
 */
function choice(options, value) {
  const field = el("select", {}, Object.entries(options).map(([key, text]) => el("option", { value: key }, text)));
  field.value = value;
  return field;
}

const SHORTCUTS = [["Shift Ctrl O", "keys.new"], ["Ctrl K", "keys.search"], ["Ctrl B", "keys.sidebar"], ["Shift Ctrl E", "keys.drawer"], ["Esc", "keys.stop"]];

/**
 * @param {import("../app/storage.mjs").Storage} storage
 * @param {string} model
 * @param {{ changed: (isLanguage: boolean) => void, forgetKey: () => void }} told
 */
export function askSettings(storage, model, told) {
  const { settings } = storage;
  const text = el("textarea", { rows: 4, dir: "auto" });
  text.value = settings.instructions;
  const fields = {
    instructions: text,
    temperature: el("input", { type: "number", min: 0, max: 2, step: 0.1, placeholder: t("own"), value: settings.temperature }),
    effort: choice({ "": t("own"), none: "none", minimal: "minimal", low: "low", medium: "medium", high: "high" }, settings.effort),
    length: el("input", { type: "number", min: 1, step: 1, placeholder: t("length.none"), value: settings.length }),
    mcp: el("input", { type: "text", value: settings.mcp, placeholder: "weather, search" }),
    theme: choice({ auto: t("theme.auto"), light: t("theme.light"), dark: t("theme.dark") }, settings.theme),
    language: choice({ "": t("language.auto"), ...Object.fromEntries(LANGUAGE_NAMES.map(({ code, name }) => [code, name])) }, settings.language),
  };
  const tools = el("input", { type: "checkbox", checked: settings.tools });
  const save = () => {
    const { language } = settings;
    const values = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));
    storage.change({ ...values, tools: tools.checked });
    told.changed(language !== storage.settings.language);
  };
  const forget = storage.key !== null && el("button", { type: "button", class: "small", onclick: told.forgetKey }, t("key.forget"));
  dialog(t("settings"), [
    el("p", { class: "note" }, `${t("model")}: ${model}`),
    labelled(t("instructions"), fields.instructions, t("instructions.hint")),
    el("div", { class: "pair" }, labelled(t("temperature"), fields.temperature), labelled(t("effort"), fields.effort)),
    el("label", { class: "check" }, tools, el("span", {}, t("tools"))),
    el("div", { class: "pair" }, labelled(t("length"), fields.length), labelled(t("mcp"), fields.mcp, t("mcp.hint"))),
    el("div", { class: "pair" }, labelled(t("theme"), fields.theme), labelled(t("language"), fields.language)),
    el("details", { class: "shortcuts" }, el("summary", {}, t("shortcuts")),
      el("dl", {}, SHORTCUTS.map(([keys, what]) => el("div", {}, el("dt", {}, keys.split(" ").map((key) => el("kbd", {}, key))), el("dd", {}, t(what)))))),
    el("div", { class: "row end" }, forget, el("button", { class: "small primary", onclick: save }, t("save"))),
  ]); // prettier-ignore
}

/**
 * Ask for the API key. It goes into headers and the handshake, never into an address.
 *
 * @param {boolean} wasWrong
 * @returns {Promise<{ key: string, remember: boolean }>}
 */
export function askKey(wasWrong) {
  return new Promise((resolve) => {
    const key = el("input", { type: "password", autocomplete: "off", required: true, spellcheck: "false" });
    const remember = el("input", { type: "checkbox" });
    const root = dialog(t("key"), [
      el("p", { class: "note" }, t(wasWrong ? "key.wrong" : "key.ask")),
      labelled(t("key"), key),
      el("label", { class: "check" }, remember, el("span", {}, t("key.remember"))),
      el("div", { class: "row end" }, el("button", { class: "small primary" }, t("enter"))),
    ]);
    root.addEventListener("close", () => resolve({ key: key.value.trim(), remember: remember.checked }));
    key.focus();
  });
}

/**
 * @param {string} question
 * @param {string} yes
 * @returns {Promise<boolean>}
 */
export function askSure(question, yes) {
  return new Promise((resolve) => {
    const button = el("button", { class: "small danger", value: "yes" }, yes);
    const no = el("button", { type: "button", class: "small", onclick: () => root.close() }, t("cancel"));
    const root = dialog(yes, [el("p", {}, question), el("div", { class: "row end" }, no, button)]);
    root.addEventListener("close", () => resolve(root.returnValue === "yes"));
    button.focus();
  });
}
