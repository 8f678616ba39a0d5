import { RealtimeClient } from "../client.mjs";
import { ConnectionLost, Detached, ServerError } from "../errors.mjs";
import { randomName } from "../random.mjs";
import { Chunks } from "./chunks.mjs";
import { turnOf, wholeTurn } from "./history.mjs";
import { messagesOf } from "./messages.mjs";

/** @import { ChatTransport, UIMessage, UIMessageChunk } from "ai" */
/** @import { ConnectOptions } from "../client.mjs" */
/** @import { Response } from "../response.mjs" */
/** @import { FinalResponse } from "../track.mjs" */
/** @import { CreateBody } from "../tracks.mjs" */
/** @import { Turn } from "./history.mjs" */

/**
 * How a stop ended: with the response as it is kept, or without being confirmed.
 *
 * @typedef {{ chatId: string, response: FinalResponse } | { chatId: string, error: Error }} Stopped
 */
/**
 * @typedef {object} TransportOptions
 * @property {string} [url] Where the server is. The socket is opened when it is needed first, not before.
 * @property {RealtimeClient} [client] In place of a URL; whoever made it closes it.
 * @property {Partial<CreateBody>} [create] What each create says as well: `model`, `instructions`, `tools`, ...
 * @property {(stopped: Stopped) => void} [onStop] Told when the server has confirmed a stop.
 */

/**
 * One answer that a chat follows.
 *
 * @typedef {object} Following
 * @property {string} chatId
 * @property {Response | null} response
 * @property {boolean} isOver All of it was handed on.
 * @property {Promise<void> | null} stopped Resolves when the server has confirmed the stop.
 */

/**
 * A transport for `useChat`, with this server alone: a stop is a cancel that the server confirms, and what it keeps ends
 * with what was handed on; a lost socket does not show; a reload goes on with the running answer, which is found by the
 * id of the chat, also on another device.
 *
 * Each answer's message names its response, and the next turn continues that: to edit or regenerate is to fork.
 *
 * @template {UIMessage} [UI_MESSAGE=UIMessage]
 * @implements {ChatTransport<UI_MESSAGE>}
 */
export class RealtimeChatTransport {
  /** A resumed stream begins with `start` and the id that the message has. */
  resumeStreamIsReplay = /** @type {const} */ (true);
  #url;
  #options;
  #client;
  #ownsClient;
  #create;
  #onStop;
  #followed = /** @type {Map<string, Following>} */ (new Map()); // id of a chat -> its newest answer

  /** @param {TransportOptions & ConnectOptions} options */
  constructor({ url, client, create = {}, onStop = () => {}, ...options }) {
    if (url === undefined && client === undefined) throw new TypeError("the transport needs `url` or `client`");
    this.#url = url;
    this.#options = options;
    this.#client = client ?? null;
    this.#ownsClient = client === undefined;
    this.#create = create;
    this.#onStop = onStop;
  }

  /** The connection: its `state` is what a banner shows. */
  get client() {
    return (this.#client ??= new RealtimeClient(/** @type {string} */ (this.#url), this.#options));
  }

  /**
   * @param {Parameters<ChatTransport<UI_MESSAGE>["sendMessages"]>[0]} options
   * @returns {ReturnType<ChatTransport<UI_MESSAGE>["sendMessages"]>}
   */
  async sendMessages({ chatId, messages, abortSignal, body }) {
    await this.#followed.get(chatId)?.stopped; // it is continued as the stop left it
    const following = this.#follow(chatId);
    const turn = turnOf(messages);
    const messageId = turn.messageId ?? `msg-${randomName()}`;
    const creating = new AbortController();
    const stop = () => (following.response === null ? creating.abort(abortSignal?.reason) : this.#stop(following));
    abortSignal?.throwIfAborted();
    abortSignal?.addEventListener("abort", stop, { once: true });
    const extra = { ...this.#create, ...body };
    const metadata = { ...extra.metadata, chat: chatId, message: messageId };
    following.response = await this.#start(turn, messages, { ...extra, metadata }, creating.signal);
    return this.#stream(following, new Chunks(messageId), eventsOf(following.response));
  }

  /**
   * @param {Parameters<ChatTransport<UI_MESSAGE>["reconnectToStream"]>[0]} options
   * @returns {ReturnType<ChatTransport<UI_MESSAGE>["reconnectToStream"]>}
   */
  async reconnectToStream({ chatId, abortSignal }) {
    this.#followed.get(chatId)?.response?.detach(); // whoever followed it hands over
    const following = this.#follow(chatId);
    const isCurrent = () => this.#followed.get(chatId) === following;
    const { data } = await this.client.responses.list({ metadata: { chat: chatId }, limit: 1 });
    const newest = data[0];
    if (newest === undefined || !isRunning(newest) || !isCurrent()) return null;
    const messageId = newest.metadata.message ?? newest.id;
    const all = this.client.responses.all({ metadata: { chat: chatId, message: messageId }, order: "asc" });
    const earlier = [];
    for await (const { id } of all) if (id !== newest.id) earlier.push(id);
    const response = await this.client.resume({ response_id: newest.id });
    if (!isCurrent()) {
      response.detach();
      return null;
    }
    following.response = response;
    // AI SDK aborts a resumption also when another one takes over, which begins at once
    const stop = () => setTimeout(() => isCurrent() && this.#stop(following));
    if (abortSignal?.aborted) stop();
    abortSignal?.addEventListener("abort", stop, { once: true });
    return this.#stream(following, new Chunks(messageId), this.#replay(earlier, response));
  }

  /**
   * What was said in a chat, for `useChat({ messages })` when a page opens. Of an answer that runs there is nothing yet:
   * `resume` brings it.
   *
   * @param {string} chatId
   * @returns {Promise<UI_MESSAGE[]>}
   */
  async loadMessages(chatId) {
    const messages = await messagesOf(this.client.responses, { chat: chatId });
    return /** @type {UI_MESSAGE[]} */ (messages);
  }

  /** Close the connection, if it was made here. */
  close() {
    if (!this.#ownsClient) return;
    this.#client?.close();
    this.#client = null;
  }

  /** @param {string} chatId */
  #follow(chatId) {
    /** @type {Following} */
    const following = { chatId, response: null, isOver: false, stopped: null };
    this.#followed.set(chatId, following);
    return following;
  }

  /**
   * Create the response; where the server does not know the one before any more, everything is said again.
   *
   * @param {Turn} turn
   * @param {UIMessage[]} messages
   * @param {Partial<CreateBody>} extra
   * @param {AbortSignal} signal
   */
  async #start(turn, messages, extra, signal) {
    try {
      return await this.client.create(bodyOf(turn, extra), { signal });
    } catch (error) {
      if (!(error instanceof ServerError) || error.code !== "previous_response_not_found") throw error;
      return this.client.create(bodyOf(wholeTurn(messages), extra), { signal });
    }
  }

  /**
   * What is kept ends with what was handed on.
   *
   * @param {Following} following
   */
  #stop(following) {
    const { chatId, response, isOver } = following;
    if (response === null || isOver || following.stopped !== null) return;
    following.stopped = response.cancel({ through: response.cursor.starting_after }).then(
      (final) => this.#onStop({ chatId, response: final }),
      (error) => this.#onStop({ chatId, error }),
    );
  }

  /**
   * The earlier responses of the message, and then the one that runs.
   *
   * @param {string[]} earlier
   * @param {Response} response
   */
  async *#replay(earlier, response) {
    for (const id of earlier) {
      yield* this.#inputsOf(id);
      yield* eventsOf(await this.client.resume({ response_id: id }));
    }
    if (earlier.length > 0) yield* this.#inputsOf(response.id);
    yield* eventsOf(response);
  }

  /** @param {string} id */
  async *#inputsOf(id) {
    const { data } = await this.client.responses.inputItems(id, { limit: 100, order: "asc" });
    yield { outputs: data };
  }

  /**
   * @param {Following} following
   * @param {Chunks} chunks
   * @param {AsyncGenerator<any>} events
   * @returns {ReadableStream<UIMessageChunk>}
   */
  #stream(following, chunks, events) {
    const pull = async (/** @type {ReadableStreamDefaultController<UIMessageChunk>} */ controller) => {
      try {
        for (;;) {
          const { value, done } = await events.next();
          if (done) break;
          const made = value.outputs ? chunks.outputs(value.outputs) : chunks.of(value);
          for (const chunk of made) controller.enqueue(chunk);
          if (made.length > 0) return;
        }
        following.isOver = true;
        controller.close();
      } catch (error) {
        if (error instanceof Detached) controller.close();
        else controller.error(asAiError(error));
      }
    };
    return new ReadableStream({ pull }, { highWaterMark: 0 });
  }
}

/** @param {{ status: string }} response */
const isRunning = ({ status }) => status === "in_progress" || status === "queued";

/** @param {Response} response */
async function* eventsOf(response) {
  yield* response;
}

/**
 * @param {Turn} turn
 * @param {Partial<CreateBody>} extra
 * @returns {CreateBody}
 */
function bodyOf({ previousResponseId, input, isUnanswered }, extra) {
  return {
    on_disconnect: { policy: "continue" }, // a page that is reloaded comes back
    ...extra,
    input,
    ...(previousResponseId === null ? {} : { previous_response_id: previousResponseId }),
    ...(isUnanswered ? { allow_missing_outputs: true } : {}),
  };
}

/**
 * AI SDK offers to resume after a TypeError of the network.
 *
 * @param {unknown} error
 */
function asAiError(error) {
  if (!(error instanceof ConnectionLost) || !error.retry) return error;
  return new TypeError(`network error: ${error.message}`, { cause: error });
}
