import { Composer } from "../view/composer.mjs";
import { askKey, askSettings, askSure } from "../view/dialogs.mjs";
import { el, iconButton } from "../view/dom.mjs";
import { Drawer } from "../view/drawer.mjs";
import { LogView } from "../view/log.mjs";
import { watchKeys } from "../view/shortcuts.mjs";
import { Sidebar } from "../view/sidebar.mjs";
import { StateView } from "../view/state.mjs";
import { setLanguage, t } from "../view/strings.mjs";
import { Chat, randomId } from "./chat.mjs";
import { ChatList } from "./list.mjs";
import { watchOthers } from "./sync.mjs";

/** The page: which chat is open, and who is told what. */
export class Page {
  #storage;
  #server;
  #list;
  #others = watchOthers((id) => this.#news(id));
  #chat = /** @type {Chat} */ (/** @type {unknown} */ (null));
  #state = new StateView();
  #scroller = el("div", { class: "scroller" });
  #log = new LogView(this.#scroller, { announce: (text) => this.#announce(text), painted: () => this.#painted() });
  #title = el("h1", { dir: "auto" });
  #greeting = el("section", { class: "greeting" });
  #announcer = el("div", { class: "unseen", "aria-live": "polite" });
  #sidebar;
  #composer;
  #drawer;

  /**
   * @param {import("./storage.mjs").Storage} storage
   * @param {import("./server.mjs").Server} server
   */
  constructor(storage, server) {
    this.#storage = storage;
    this.#server = server;
    this.#list = new ChatList(server, storage);
    this.#sidebar = new Sidebar({
      create: () => this.#go(""),
      open: (id) => this.#go(id),
      rename: (chat, title) => this.#list.rename(chat, title),
      remove: (chat) => this.#remove(chat),
      save: (chat) => this.#save([chat]),
      more: () => this.#list.more(),
      settings: () => this.#settings(),
      saveAll: () => this.#save(this.#list.chats),
      load: (file) => this.#load(file),
    });
    this.#composer = new Composer({
      send: (text, files) => this.#send(text, files),
      stop: () => this.#chat.live?.stop(),
      sees: () => this.#server.sees(),
      say: (text) => this.#state.say(text),
      draft: (text) => this.#storage.setDraft(this.#isNew ? "" : this.#chat.id, text),
    });
    const { tap } = server;
    this.#drawer = new Drawer({ cut: () => tap.cut(), swallow: () => tap.swallow(), close: () => this.#toggleDrawer() });
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
    this.#list.addEventListener("change", () => this.#showList());
    addEventListener("hashchange", () => this.#open());
    addEventListener("pagehide", () => this.#chat.keep());
    this.#open();
    this.#composer.open();
    this.#list.refresh();
  }

  #layOut() {
    const menu = iconButton("menu", t("menu"), () => this.#toggleSidebar());
    const tools = iconButton("pulse", t("drawer"), () => this.#toggleDrawer(), { id: "open-drawer", class: "icon-button", "aria-pressed": "false" });
    this.#greeting.append(el("h2", {}, t("greeting")), el("p", {}, t("greeting.more")), el("div", { class: "examples" },
      [1, 2, 3].map((at) => el("button", { type: "button", onclick: () => this.#send(t(`example.${at}`), []) }, t(`example.${at}`))))); // prettier-ignore
    this.#scroller.append(this.#greeting, this.#log.root);
    const hint = el("div", { class: "drop-hint", "aria-hidden": "true" }, t("drop"));
    const veil = el("div", { class: "veil", onclick: () => this.#toggleSidebar() });
    const main = el("main", {}, el("header", { class: "top" }, menu, this.#title, tools), this.#scroller, el("div", { class: "dock" }, this.#state.root, this.#composer.root));
    document.body.replaceChildren(el("div", { id: "dialogs" }), this.#sidebar.root, veil, this.#drawer.root, main, this.#announcer, hint);
    watchKeys({
      create: () => this.#go(""),
      search: () => this.#search(),
      sidebar: () => this.#toggleSidebar(),
      drawer: () => this.#toggleDrawer(),
      stop: () => this.#chat?.live?.stop(),
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
    if (matchMedia("(max-width: 50rem)").matches) document.body.classList.remove("has-sidebar");
    const hash = id ? `#/c/${id}` : "#/";
    if (location.hash !== hash) history.pushState(null, "", hash); // an event would come after the next key
    this.#open();
  }

  #open() {
    const id = this.#isNew ? randomId() : location.hash.slice(4);
    if (this.#chat?.id === id) return;
    this.#chat?.keep();
    this.#chat?.close();
    this.#chat = new Chat(this.#server, this.#storage, id);
    const { tell } = this.#others;
    this.#chat.addEventListener("began", () => (tell(id), this.#list.refresh()));
    this.#chat.addEventListener("over", () => (tell(id), this.#list.refresh(), this.#announce(t("finished"))));
    this.#chat.addEventListener("refused", (event) => this.#refused(/** @type {CustomEvent} */ (event).detail));
    this.#log.show(this.#chat);
    this.#composer.fill(this.#storage.draft(this.#isNew ? "" : id));
    this.#sidebar.mark(id);
    if (!this.#isNew) this.#chat.load().then(() => requestAnimationFrame(() => this.#log.scrollToEnd()), (error) => this.#state.say(error.message));
    if (matchMedia("(pointer: fine)").matches) this.#composer.field.focus();
  }

  /** @param {string} text @param {any[]} files */
  #send(text, files) {
    const { id } = this.#chat;
    this.#chat.send(text, files);
    this.#storage.setDraft("", "");
    if (this.#isNew) history.pushState(null, "", `#/c/${id}`);
    this.#sidebar.mark(id);
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
    this.#greeting.hidden = nodes.length > 0 || this.#chat.isLoading || !this.#isNew;
    this.#composer.showRunning(live !== null);
    this.#drawer.follow(nodes.findLast((node) => node.live)?.live ?? null);
  }

  /** @param {string} text */
  #announce(text) {
    this.#announcer.textContent = text;
  }

  // the list

  /** @param {string | null} id */
  #news(id) {
    if (!this.#chat) return;
    this.#list.refresh();
    if (!this.#isNew && (id === null || id === this.#chat.id)) this.#chat.refresh().catch(() => {});
  }

  #showList() {
    this.#sidebar.show(this.#list.chats, { hasMore: this.#list.hasMore, note: this.#list.isForbidden ? t("local") : "" });
    const name = this.#list.chats.find(({ id }) => id === this.#chat.id)?.title;
    if (name && this.#chat.title !== name) {
      this.#chat.title = name;
      this.#painted();
    }
  }

  /** @param {any} chat */
  async #remove(chat) {
    if (!(await askSure(t("delete.sure"), t("delete")))) return;
    await this.#list.remove(chat.id);
    this.#others.tell(chat.id);
    if (chat.id === this.#chat.id) this.#go("");
  }

  /** @param {any[]} chats */
  async #save(chats) {
    const url = URL.createObjectURL(new Blob([await this.#list.save(chats)], { type: "application/json" }));
    el("a", { href: url, download: "chats.json" }).click();
    URL.revokeObjectURL(url);
  }

  /** @param {File} file */
  async #load(file) {
    try {
      this.#go(await this.#list.load(await file.text()));
    } catch (error) {
      this.#state.say(t("import.failed", { why: /** @type {Error} */ (error).message }));
    }
  }

  // the frame

  #settings() {
    askSettings(this.#storage, this.#server.model, {
      changed: (isLanguage) => (isLanguage ? location.reload() : this.#applySettings()),
      forgetKey: () => {
        this.#storage.setKey(null, false);
        location.reload();
      },
    });
  }

  #applySettings() {
    const { theme, sidebar, language } = this.#storage.settings;
    setLanguage(language);
    document.documentElement.dataset.theme = theme;
    document.body.classList.toggle("has-sidebar", sidebar && !matchMedia("(max-width: 50rem)").matches);
  }

  #toggleSidebar() {
    const isShown = document.body.classList.toggle("has-sidebar");
    if (!matchMedia("(max-width: 50rem)").matches) this.#storage.change({ sidebar: isShown });
  }

  #search() {
    document.body.classList.add("has-sidebar");
    this.#sidebar.search.focus();
  }

  #toggleDrawer() {
    this.#drawer.toggle(!this.#drawer.isOpen);
    document.body.classList.toggle("has-drawer", this.#drawer.isOpen);
    document.getElementById("open-drawer")?.setAttribute("aria-pressed", String(this.#drawer.isOpen));
  }
}
