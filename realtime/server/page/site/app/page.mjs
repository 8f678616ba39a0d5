import { Composer } from "../view/composer.mjs";
import { el, icon, iconButton } from "../view/dom.mjs";
import { dialogs, drawer } from "../view/later.mjs";
import { LogView } from "../view/log.mjs";
import { watchKeys } from "../view/shortcuts.mjs";
import { StateView } from "../view/state.mjs";
import { t } from "../view/strings.mjs";
import { Chat } from "./chat.mjs";
import { Listing } from "./listing.mjs";
import { randomId } from "./random.mjs";
import { watchOthers } from "./sync.mjs";

/** The page: which chat is open, and who is told what. */
export class Page {
  #storage;
  #server;
  #listing;
  #others = watchOthers((id) => this.#news(id));
  #chat = /** @type {Chat} */ (/** @type {unknown} */ (null));
  #state = new StateView();
  #scroller = el("div", { class: "scroller" });
  #log = new LogView(this.#scroller, { announce: (text) => this.#announce(text), painted: () => this.#painted() });
  #title = el("h1", { dir: "auto" });
  #greeting = el("section", { class: "greeting" });
  #model = el("p", { class: "model" });
  #toEnd = iconButton("down", t("to.end"), () => this.#log.scrollToEnd(true), { class: "to-end", hidden: true });
  #announcer = el("div", { class: "unseen", "aria-live": "polite" });
  #composer;
  #drawer = /** @type {Promise<import("../view/drawer.mjs").Drawer> | null} */ (null); // from when it is first wanted
  #revealed = ""; // the turn that a search has found and that is to be shown

  /**
   * @param {import("./storage.mjs").Storage} storage
   * @param {import("./server.mjs").Server} server
   */
  constructor(storage, server) {
    this.#storage = storage;
    this.#server = server;
    this.#listing = new Listing(server, storage, {
      go: (id) => this.#go(id),
      reveal: (id, responseId) => this.#reveal(id, responseId),
      removed: (id) => (this.#others.tell(id), id === this.#chat.id && this.#go("")),
      settings: () => this.#settings(),
      say: (text) => this.#state.say(text),
      changed: () => this.#named(),
    });
    this.#composer = new Composer({
      send: (text, files) => this.#send(text, files),
      stop: () => this.#chat.live?.stop(),
      sees: () => this.#server.sees(),
      say: (text) => this.#state.say(text),
      draft: (text) => this.#storage.setDraft(this.#isNew ? "" : this.#chat.id, text),
    });
  }

  /** Show the page, then what the server has. */
  async start() {
    this.#layOut();
    await this.#enter();
    const { client, tap } = { client: this.#server.connect(), tap: this.#server.tap };
    const told = () => this.#state.showConnection(tap.isSwallowing ? "swallowed" : client.state);
    client.addEventListener("statechange", told);
    tap.addEventListener("swallowing", told);
    tap.addEventListener("resumed", (event) => {
      const { tip, starting_after } = /** @type {CustomEvent} */ (event).detail;
      this.#state.showCaughtUp(tip - starting_after - 1);
    });
    told();
    addEventListener("hashchange", () => this.#opened());
    addEventListener("pagehide", () => this.#chat.keep());
    this.#model.textContent = t("greeting.model", { model: this.#server.model });
    this.#open();
    this.#composer.open();
    this.#listing.refresh();
  }

  #layOut() {
    const menu = iconButton("menu", t("menu"), () => this.#toggleSidebar());
    const create = iconButton("pen", t("new"), () => this.#go(""), { class: "icon-button new-chat" });
    const tools = iconButton("pulse", t("drawer"), () => this.#toggleDrawer(), { id: "open-drawer", class: "icon-button", "aria-pressed": "false" });
    this.#greeting.append(icon("pulse"), el("h2", {}, t("greeting")), el("p", {}, t("greeting.more")), this.#model);
    const examples = [1, 2, 3].map((at) => t(`example.${at}`));
    const shelf = el("div", { class: "examples" }, examples.map((text) => el("button", { type: "button", onclick: () => this.#chat && this.#send(text, []) }, text)));
    this.#scroller.append(this.#greeting, this.#log.root);
    const hint = el("div", { class: "drop-hint", "aria-hidden": "true" }, t("drop"));
    const veil = el("div", { class: "veil", onclick: () => this.#toggleSidebar() });
    const skip = el("a", { class: "skip", href: "#composer-field", onclick: (/** @type {Event} */ event) => (event.preventDefault(), this.#composer.field.focus()) }, t("skip"));
    const dock = el("div", { class: "dock" }, this.#toEnd, this.#state.root, this.#composer.root, shelf);
    const main = el("main", {}, el("header", { class: "top" }, menu, create, this.#title, tools), this.#scroller, dock);
    this.#scroller.addEventListener("scroll", () => (this.#toEnd.hidden = this.#log.isNearEnd), { passive: true });
    document.body.replaceChildren(skip, el("div", { id: "dialogs" }), this.#listing.sidebar.root, veil, main, this.#announcer, hint);
    watchKeys({
      create: () => this.#go(""),
      search: () => this.#search(),
      sidebar: () => this.#toggleSidebar(),
      drawer: () => this.#toggleDrawer(),
      stop: () => this.#escaped(),
    });
    this.#applySettings();
  }

  /** Ask for a key until the server takes one. */
  async #enter() {
    for (let wasWrong = false; ; wasWrong = true) {
      try {
        if ((await this.#server.greet()) === "ok") return;
      } catch (error) {
        this.#state.say(t("offline", { why: /** @type {Error} */ (error).message }));
        await new Promise((resolve) => setTimeout(resolve, 2000));
        continue;
      }
      const { askKey } = await dialogs();
      const { key, remember } = await askKey(wasWrong && this.#storage.key !== null);
      if (key) this.#storage.setKey(key, remember);
    }
  }

  // the open chat

  get #isNew() {
    return !/^#\/c\/[\w-]+$/.test(location.hash);
  }

  /** @param {string} id Empty: a new chat. */
  #go(id) {
    this.#closeOverlay();
    const hash = id ? `#/c/${id}` : "#/";
    if (location.hash !== hash) history.pushState(null, "", hash); // an event would come after the next key
    this.#open();
  }

  /** Another chat by a link, or by the browser's own buttons. */
  #opened() {
    this.#closeOverlay();
    this.#open();
  }

  #open() {
    const id = this.#isNew ? randomId() : location.hash.slice(4);
    if (this.#chat?.id === id) return;
    this.#chat?.keep();
    this.#chat?.close();
    this.#chat = new Chat(this.#server, this.#storage, id);
    const { tell } = this.#others;
    this.#chat.addEventListener("began", () => (tell(id), this.#listing.refresh()));
    this.#chat.addEventListener("over", () => (tell(id), this.#listing.refresh(), this.#announce(t("finished"))));
    this.#chat.addEventListener("refused", (event) => this.#refused(/** @type {CustomEvent} */ (event).detail));
    this.#log.show(this.#chat);
    this.#composer.fill(this.#storage.draft(this.#isNew ? "" : id));
    this.#listing.sidebar.mark(id);
    if (!this.#isNew) this.#chat.load().then(() => requestAnimationFrame(() => this.#scroll()), (error) => this.#state.say(error.message));
    if (matchMedia("(pointer: fine)").matches) this.#composer.field.focus();
  }

  /** Show a turn that a search has found, on its branch. @param {string} id @param {string} responseId */
  #reveal(id, responseId) {
    this.#revealed = responseId;
    if (this.#chat.id !== id) return this.#storage.setLeaf(id, responseId); // which opening it reads
    this.#closeOverlay();
    this.#chat.select(responseId).then(() => requestAnimationFrame(() => this.#scroll()));
  }

  #scroll() {
    if (!this.#log.reveal(this.#revealed)) this.#log.scrollToEnd();
    this.#revealed = "";
  }

  /** @param {string} text @param {any[]} files */
  #send(text, files) {
    const { id } = this.#chat;
    this.#chat.send(text, files);
    this.#storage.setDraft("", "");
    if (this.#isNew) history.pushState(null, "", `#/c/${id}`);
    this.#listing.sidebar.mark(id);
    requestAnimationFrame(() => this.#log.scrollToEnd());
  }

  /** What was not taken is given back to be changed. @param {any} refusal */
  #refused({ node, error, before }) {
    this.#state.say(`${t("refused")}: ${error.message}`);
    const message = node.inputs.find((/** @type {any} */ item) => item.role === "user");
    const text = message?.content.find((/** @type {any} */ part) => part.type === "input_text")?.text;
    if (text && this.#composer.field.value === "") this.#composer.fill(text);
    this.#chat.takeBack(node, before);
  }

  #painted() {
    const { nodes, live, title } = this.#chat;
    this.#title.textContent = title || t("new");
    document.title = title ? `${title} · realtime` : "realtime";
    const isEmpty = nodes.length === 0 && !this.#chat.isLoading && this.#isNew;
    this.#greeting.hidden = !isEmpty;
    document.body.classList.toggle("is-empty", isEmpty);
    this.#toEnd.hidden = this.#log.isNearEnd;
    this.#composer.showRunning(live !== null);
    this.#drawer?.then((drawer) => drawer.follow(this.#newest));
  }

  /** What the drawer tells of. */
  get #newest() {
    return this.#chat.nodes.findLast((node) => node.live)?.live ?? null;
  }

  /** @param {string} text */
  #announce(text) {
    this.#announcer.textContent = text;
  }

  // the list

  /** @param {string | null} id */
  #news(id) {
    if (!this.#chat) return;
    this.#listing.refresh();
    if (!this.#isNew && (id === null || id === this.#chat.id)) this.#chat.refresh().catch(() => {});
  }

  /** The list may know the open chat by another name. */
  #named() {
    const name = this.#chat && this.#listing.titleOf(this.#chat.id);
    if (!name || this.#chat.title === name) return;
    this.#chat.title = name;
    this.#painted();
  }

  // the frame

  async #settings() {
    const { askSettings } = await dialogs();
    askSettings(this.#storage, this.#server.model, {
      changed: (isLanguage) => (isLanguage ? location.reload() : this.#applySettings()),
      forgetKey: () => {
        this.#storage.setKey(null, false);
        location.reload();
      },
    });
  }

  #applySettings() {
    const { theme, sidebar } = this.#storage.settings;
    document.documentElement.dataset.theme = theme;
    document.body.classList.toggle("has-sidebar", sidebar && !isNarrow());
  }

  #toggleSidebar() {
    const isShown = document.body.classList.toggle("has-sidebar");
    if (!isNarrow()) this.#storage.change({ sidebar: isShown });
  }

  /** The list lies over the chat where there is no room beside it. */
  #closeOverlay() {
    if (isNarrow()) document.body.classList.remove("has-sidebar");
  }

  #escaped() {
    if (isNarrow() && document.body.classList.contains("has-sidebar")) return this.#toggleSidebar();
    if (isNarrow() && hasDrawer()) return this.#toggleDrawer();
    this.#chat?.live?.stop();
  }

  #search() {
    document.body.classList.add("has-sidebar");
    this.#listing.sidebar.search.focus();
  }

  async #toggleDrawer() {
    document.getElementById("open-drawer")?.setAttribute("aria-pressed", String(document.body.classList.toggle("has-drawer")));
    this.#drawer ??= this.#makeDrawer();
    (await this.#drawer).toggle(hasDrawer());
  }

  async #makeDrawer() {
    const { tap } = this.#server;
    const { Drawer } = await drawer();
    const made = new Drawer({ cut: () => tap.cut(), swallow: () => tap.swallow(), close: () => this.#toggleDrawer() });
    document.querySelector("main")?.before(made.root);
    if (this.#chat) made.follow(this.#newest);
    return made;
  }
}

const hasDrawer = () => document.body.classList.contains("has-drawer");
const isNarrow = () => matchMedia("(max-width: 50rem)").matches;
