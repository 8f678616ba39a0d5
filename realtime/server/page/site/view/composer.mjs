import { el, icon, iconButton } from "./dom.mjs";
import { attachmentOf } from "./files.mjs";
import { t } from "./strings.mjs";
import { attachment } from "./turn.mjs";

/** @import { Attachment } from "../core/requests.mjs" */

/** Where one writes. Enter sends, with Shift it breaks the line; images and texts come by paste and drop. */
export class Composer {
  #told;
  #files = /** @type {Attachment[]} */ ([]);
  #isRunning = false;
  #shelf = el("div", { class: "attachments", hidden: true });
  #picker = el("input", { type: "file", multiple: true, hidden: true, tabindex: "-1", "aria-hidden": "true" });
  #button = el("button", { type: "submit", class: "send" });
  field = el("textarea", { rows: 1, dir: "auto", placeholder: t("ask"), "aria-label": t("ask"), id: "composer-field", enterkeyhint: "send" });
  root = el("form", { id: "composer" });

  /**
   * @param {{ send: (text: string, files: Attachment[]) => void, stop: () => void, sees: () => Promise<boolean>,
   *   say: (text: string) => void, draft: (text: string) => void }} told
   */
  constructor(told) {
    this.#told = told;
    const attach = iconButton("attach", t("attach"), () => this.#picker.click());
    this.root.append(this.#shelf, this.field, el("div", { class: "row" }, attach, this.#picker, this.#button));
    this.root.addEventListener("submit", (/** @type {Event} */ event) => this.#submitted(event));
    this.field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
    this.field.addEventListener("input", () => this.#changed());
    this.field.addEventListener("paste", (/** @type {ClipboardEvent} */ event) => this.#pasted(event));
    this.#picker.addEventListener("change", () => this.add(this.#picker.files ?? []).then(() => (this.#picker.value = "")));
    this.#watchDrops(document.body);
    this.showRunning(false);
  }

  /** There is a chat to send it to. */
  open() {
    this.root.dataset.ready = "";
  }

  /** @param {boolean} isRunning */
  showRunning(isRunning) {
    this.#isRunning = isRunning;
    const label = t(isRunning ? "stop" : "send");
    if (this.#button.title === label) return this.#enable();
    this.#button.title = label;
    this.#button.setAttribute("aria-label", label);
    this.#button.replaceChildren(icon(isRunning ? "stop" : "arrow"));
    this.#enable();
  }

  /** @param {string} text @param {Attachment[]} [files] */
  fill(text, files = []) {
    this.field.value = text;
    this.#files = [...files];
    this.#showFiles();
    this.#changed();
  }

  /** @param {Iterable<File>} files */
  async add(files) {
    for (const file of files) {
      try {
        const added = await attachmentOf(file);
        if (added.kind === "image" && !(await this.#told.sees())) this.#told.say(t("blind"));
        else this.#files.push(added);
      } catch (error) {
        this.#told.say(t(/** @type {Error} */ (error).message, { name: file.name }));
      }
    }
    this.#showFiles();
    this.#enable();
  }

  /** @param {Event} event */
  #submitted(event) {
    event.preventDefault();
    if (this.#isRunning) return this.#told.stop();
    const text = this.field.value.trim();
    if ((text === "" && this.#files.length === 0) || !("ready" in this.root.dataset)) return;
    const files = this.#files;
    this.fill("");
    this.#told.send(text, files);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || this.#isRunning) return;
    event.preventDefault();
    this.root.requestSubmit();
  }

  /** @param {ClipboardEvent} event */
  #pasted(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    this.add(files);
  }

  /** @param {HTMLElement} body */
  #watchDrops(body) {
    const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
    body.addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      body.classList.add("is-dropping");
    });
    body.addEventListener("dragleave", (event) => event.relatedTarget === null && body.classList.remove("is-dropping"));
    body.addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      body.classList.remove("is-dropping");
      this.add(event.dataTransfer?.files ?? []);
    });
  }

  #showFiles() {
    this.#shelf.hidden = this.#files.length === 0;
    this.#shelf.replaceChildren(...this.#files.map((file, at) => {
      const remove = () => {
        this.#files.splice(at, 1);
        this.#showFiles();
        this.#enable();
      };
      return el("span", { class: "attachment" }, attachment(file), iconButton("close", t("remove", { name: file.name }), remove));
    })); // prettier-ignore
  }

  #changed() {
    this.#told.draft(this.field.value);
    this.#enable();
  }

  #enable() {
    this.#button.disabled = !this.#isRunning && this.field.value.trim() === "" && this.#files.length === 0;
  }
}
