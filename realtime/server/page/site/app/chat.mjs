import { newAnswer } from "../core/answer.mjs";
import { titleOf, UI } from "../core/chats.mjs";
import { callsOf, createBody, decisionOn, userMessage } from "../core/requests.mjs";
import { Tree } from "../core/tree.mjs";
import { fetchTurn } from "./fetched.mjs";
import { Live } from "./live.mjs";
import { randomId } from "./random.mjs";
import { run, TOOLS } from "./tools.mjs";

/** @import { Entry } from "../core/tree.mjs" */
/** @import { Attachment } from "../core/requests.mjs" */

/**
 * A response as the page shows it. `key`: its name in the page, which it keeps when it gets an id.
 *
 * @typedef {{ key: string, entry: Entry, inputs: any[], answer: import("../core/answer.mjs").Answer, live: Live | null }} Node
 */

const PAGE = 100; // responses of a page of the list

/** The open chat. Dispatches `change` when other turns are to be shown, `live` when a running answer has grown. */
export class Chat extends EventTarget {
  #server;
  #storage;
  #nodes = /** @type {Map<string, Node>} */ (new Map());
  #tree = new Tree();
  #isClosed = false;
  #isReading = false;
  leaf = /** @type {string | null} */ (null);
  isLoading = false;

  /**
   * @param {import("./server.mjs").Server} server
   * @param {import("./storage.mjs").Storage} storage
   * @param {string} id
   */
  constructor(server, storage, id) {
    super();
    this.#server = server;
    this.#storage = storage;
    this.id = id;
    this.title = "";
  }

  get tree() {
    return this.#tree;
  }

  /** The shown turns, in order; of those that are being fetched there is no node yet. */
  get nodes() {
    return this.#tree.path(this.leaf).flatMap(({ id }) => this.#nodes.get(id) ?? []);
  }

  /** The running answer of the shown branch. */
  get live() {
    return this.nodes.findLast(({ live, answer }) => live !== null && !answer.over)?.live ?? null;
  }

  /** Fetch the chat from the server, and go on with what was not finished here. */
  async load() {
    this.isLoading = true;
    await this.#list();
    const kept = this.#storage.leaf(this.id);
    this.leaf = kept !== null && this.#tree.get(kept) ? this.#tree.leafBelow(kept) : (this.#tree.newest?.id ?? null);
    this.#takeUpPending();
    await this.#fetchPath();
    this.isLoading = false;
    this.#changed();
  }

  /** See what other tabs and devices have done. What goes on behind the shown answer is shown. */
  async refresh() {
    if (this.isLoading || this.#isClosed || this.#isReading) return; // while the server is away, wishes would pile up
    const before = this.leaf;
    this.#isReading = true;
    const isNew = await this.#list().finally(() => (this.#isReading = false));
    if (!isNew || this.leaf !== before) return;
    if (this.leaf !== null && this.#tree.get(this.leaf)) this.leaf = this.#tree.leafBelow(this.leaf);
    else this.leaf = this.#tree.newest?.id ?? null;
    await this.#fetchPath();
    this.#changed();
  }

  /** Show it no more. What runs goes on at the server. */
  close() {
    this.#isClosed = true;
    for (const { live } of this.#nodes.values()) live?.leave();
  }

  /** Keep what is running as it stands, for a page that comes back. */
  keep() {
    for (const { live, answer } of this.#nodes.values()) {
      if (live && !answer.over && answer.id) this.#storage.setLive(answer.id, { answer, isMine: live.isMine });
    }
  }

  // what the user does

  /** @param {string} text @param {Attachment[]} [attachments] */
  send(text, attachments = []) {
    if (this.title === "") this.title = titleOf(text || attachments[0]?.name || "");
    return this.#begin({ parentId: this.#lastGood, input: [userMessage(text, attachments)], questionId: randomId() });
  }

  /** The newest shown response that can be continued: one that failed can't. */
  get #lastGood() {
    const failed = (/** @type {Node} */ { answer }) => answer.status === "failed";
    return this.nodes.findLast((node) => !failed(node))?.entry.id ?? null;
  }

  /** Ask the same again, as another branch: the question, so that what was allowed once is not done twice. @param {Node} node */
  regenerate(node) {
    const path = this.#tree.path(node.entry.id);
    const asked = path.findLast(({ metadata }) => !metadata.chat_step) ?? node.entry;
    const inputs = this.#nodes.get(asked.id)?.inputs ?? node.inputs;
    return this.#begin({ parentId: asked.previous_response_id, input: inputs, questionId: asked.metadata.chat_input ?? asked.id });
  }

  /** Ask something else in its place, as another branch. @param {Node} node @param {any} message */
  edit(node, message) {
    return this.#begin({ parentId: node.entry.previous_response_id, input: [message], questionId: randomId() });
  }

  /** Show another branch. @param {string} id */
  async select(id) {
    this.leaf = this.#tree.leafBelow(id);
    this.#storage.setLeaf(this.id, this.leaf);
    await this.#fetchPath();
    this.#changed();
  }

  /** What was said to a request for approval on the shown branch. @param {any} request */
  decisionOn({ id }) {
    return decisionOn(id, this.nodes);
  }

  /** @param {Node} node @param {any} request @param {boolean} approve */
  approve(node, request, approve) {
    const input = [{ type: "mcp_approval_response", approval_request_id: request.id, approve }];
    return this.#goOn(node, input, "approval");
  }

  /** Run the page's tools that an answer calls. @param {Node} node */
  runTools(node) {
    const calls = callsOf(node.answer.items);
    const input = calls.map(({ raw }) => ({ type: "function_call_output", call_id: raw.call_id, output: run(/** @type {any} */ (raw)) }));
    return input.length > 0 ? this.#goOn(node, input, "tool") : null;
  }

  // responses

  /** @param {Node} node @param {any[]} input @param {string} step */
  #goOn(node, input, step) {
    const questionId = node.entry.metadata.chat_input ?? node.entry.id;
    return this.#begin({ parentId: node.entry.id, input, questionId, step });
  }

  /** @param {{ parentId: string | null, input: any[], questionId: string, step?: string }} turn */
  #begin(turn) {
    const whole = { ...turn, chatId: this.id, title: this.title, requestId: randomId() };
    const body = createBody(whole, this.#storage.settings, TOOLS);
    this.#storage.setPending(this.id, body);
    return this.#start(body);
  }

  /** @param {any} body */
  #start(body) {
    const { request_id, previous_response_id, metadata } = body;
    const entry = { id: request_id, previous_response_id, metadata, status: "queued", created_at: Date.now() / 1000 };
    const live = new Live(this.#server, newAnswer(""), { isMine: true });
    const node = { key: request_id, entry, inputs: body.input, answer: live.answer, live };
    const before = this.leaf;
    this.#show(node);
    live.addEventListener("created", () => this.#created(node));
    live.start(body).catch((error) => this.#refused(node, error, before));
    return node;
  }

  /** The server has it: from now on it is known by its own id. @param {Node} node */
  #created(node) {
    const { key, answer, entry } = node;
    const wasShown = this.leaf === key;
    const entries = this.#tree.entries.filter(({ id }) => id !== key && id !== answer.id);
    node.entry = { ...entry, id: answer.id, status: "in_progress" };
    this.#tree = new Tree([...entries, node.entry]);
    this.#nodes.delete(key);
    this.#nodes.set(answer.id, node);
    this.#storage.setPending(this.id, null);
    if (wasShown) this.leaf = answer.id;
    if (wasShown) this.#storage.setLeaf(this.id, answer.id);
    this.#changed();
    this.dispatchEvent(new CustomEvent("began", { detail: answer.id }));
  }

  /** @param {Node} node @param {any} error @param {string | null} before */
  #refused(node, error, before) {
    Object.assign(node.answer, { status: "failed", over: true, error: { code: error.code, message: error.message } });
    this.#storage.setPending(this.id, null);
    if (!node.answer.id) this.dispatchEvent(new CustomEvent("refused", { detail: { node, error, before } }));
    this.#changed();
  }

  /** Take back a turn that the server has refused. @param {Node} node @param {string | null} before */
  takeBack(node, before) {
    this.#nodes.delete(node.key);
    this.#tree = new Tree(this.#tree.entries.filter(({ id }) => id !== node.key));
    if (this.leaf === node.key) this.leaf = before;
    this.#changed();
  }

  /** @param {Node} node */
  #show(node) {
    this.#tree.add(node.entry);
    this.#nodes.set(node.entry.id, node);
    this.leaf = node.entry.id;
    this.#listen(node);
    this.#changed();
  }

  /** @param {Node} node */
  #listen(node) {
    node.live?.addEventListener("change", () => this.dispatchEvent(new CustomEvent("live", { detail: node })));
    node.live?.addEventListener("over", () => this.#over(node));
  }

  /** @param {Node} node */
  #over(node) {
    this.#storage.setLive(node.answer.id, null);
    node.entry = { ...node.entry, status: node.answer.status };
    if (this.#tree.get(node.entry.id)) this.#tree.add(node.entry);
    this.#changed();
    this.dispatchEvent(new CustomEvent("over", { detail: node }));
    if (node.live?.isMine && !this.#isClosed && this.#storage.settings.tools && node.answer.status === "completed") this.runTools(node);
  }

  // from the server

  /** Read the list; returns whether something is new in it. */
  async #list() {
    let isNew = false;
    const query = { metadata: { realtime_ui: UI, chat_id: this.id }, order: /** @type {const} */ ("asc"), limit: PAGE };
    for await (const entry of this.#server.client.responses.all(query)) {
      const known = this.#nodes.get(entry.id);
      if (known?.live && !known.answer.over) continue;
      isNew = this.#tree.add(/** @type {any} */ (entry)) || isNew;
      this.title = this.title || (entry.metadata?.chat_title ?? "");
    }
    return isNew;
  }

  /** What was asked for here and may not have got there: asked again, it is the same response. */
  #takeUpPending() {
    const body = this.#storage.pending(this.id);
    if (body === null) return;
    const came = this.#tree.entries.some((entry) => /** @type {any} */ (entry).request_id === body.request_id);
    if (came) this.#storage.setPending(this.id, null);
    else this.#start(body);
  }

  async #fetchPath() {
    const missing = this.#tree.path(this.leaf).filter(({ id }) => !this.#nodes.has(id));
    await Promise.all(missing.map((entry) => this.#fetchNode(entry)));
  }

  /** @param {Entry} entry @returns {Promise<Node>} */
  async #fetchNode(entry) {
    const { inputs, answer } = await fetchTurn(this.#server.client.responses, entry.id);
    const node = /** @type {Node} */ ({ key: entry.id, entry, inputs, answer, live: null });
    if (this.#nodes.has(entry.id)) return /** @type {Node} */ (this.#nodes.get(entry.id));
    this.#nodes.set(entry.id, node);
    if (!answer.over && !this.#isClosed) this.#follow(node);
    return node;
  }

  /** Go on with a running answer: behind what this tab had of it, else behind what the server has told. @param {Node} node */
  #follow(node) {
    const kept = this.#storage.live(node.entry.id);
    node.answer = kept?.answer ?? newAnswer(node.entry.id);
    node.live = new Live(this.#server, node.answer, { isMine: kept?.isMine ?? false });
    this.#listen(node);
    node.live.follow().catch(() => {});
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
