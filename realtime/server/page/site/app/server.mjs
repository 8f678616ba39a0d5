import { RealtimeClient } from "../client/realtime-client.mjs";
import { UI } from "../core/chats.mjs";
import { Tap } from "./socket.mjs";

const POLICY = { maxRetrySeconds: 86_400, maxDelaySeconds: 4, heartbeatSeconds: 4, maxMissedHeartbeats: 2 };
const ANSWER_MS = 30_000; // for a request over HTTP: in a network that swallows, it would wait for ever
const PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/** The server as the page knows it: one client, and the few things that it has no method for. */
export class Server {
  #storage;
  #sees = /** @type {Promise<boolean> | null} */ (null);
  tap = new Tap();
  client = /** @type {RealtimeClient} */ (/** @type {unknown} */ (null));
  model = "";

  /** @param {import("./storage.mjs").Storage} storage */
  constructor(storage) {
    this.#storage = storage;
  }

  /** Open the socket. Its state is the client's. */
  connect() {
    const url = new URL("v1/responses", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    this.client = new RealtimeClient(url.href.split("#")[0], {
      apiKey: () => this.#storage.key,
      policy: POLICY,
      WebSocket: this.tap.WebSocket,
      fetch: timely,
    });
    return this.client;
  }

  /** Find out who serves. Resolves to "ok", or "key" when the server wants another key. */
  async greet() {
    const answer = await this.#fetch("v1/models");
    if (answer.status === 401) return "key";
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    this.model = (await answer.json()).data[0]?.id ?? "";
    return "ok";
  }

  /** Whether the model takes images: asked once, of the one who knows. */
  sees() {
    const content = [{ type: "input_image", image_url: PIXEL }];
    this.#sees ??= this.client.responses
      .countInputTokens(/** @type {any} */ ({ input: [{ type: "message", role: "user", content }] }))
      .then(() => true, (error) => error.code !== "unsupported_parameter"); // prettier-ignore
    return this.#sees;
  }

  /** Names of chats that were renamed, by their ids. */
  async names() {
    const names = /** @type {Map<string, { title: string, id: string }>} */ (new Map());
    for await (const { id, metadata } of this.client.conversations.all({ metadata: { realtime_ui: UI } })) {
      if (metadata?.chat_id) names.set(metadata.chat_id, { title: metadata.chat_title ?? "", id });
    }
    return names;
  }

  /** @param {string} path */
  #fetch(path) {
    const key = this.#storage.key;
    return timely(path, { headers: key ? { authorization: `Bearer ${key}` } : {}, cache: "no-store" });
  }
}

/** @type {typeof fetch} */
function timely(address, options = {}) {
  const signals = [AbortSignal.timeout(ANSWER_MS), ...(options.signal ? [options.signal] : [])];
  return fetch(address, { ...options, signal: AbortSignal.any(signals) });
}
