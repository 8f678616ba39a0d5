import { now } from "./clock.mjs";
import { Conversations } from "./conversations.mjs";
import { Credential } from "./credential.mjs";
import { ClientClosed, ConnectionLost, ProtocolError, RealtimeError } from "./errors.mjs";
import { Http } from "./http.mjs";
import { Link } from "./link.mjs";
import { watchPage } from "./page.mjs";
import { policyOf } from "./policy.mjs";
import { randomName } from "./random.mjs";
import { Response } from "./response.mjs";
import { Responses } from "./responses.mjs";
import { Session } from "./session.mjs";
import { run } from "./tools.mjs";
import { checkUrl, httpBase } from "./url.mjs";

/** @import { ApiKey } from "./credential.mjs" */
/** @import { Cut } from "./cuts.mjs" */
/** @import { Steer } from "./inputs.mjs" */
/** @import { WebSocketClass } from "./link.mjs" */
/** @import { Update } from "./liveness.mjs" */
/** @import { Policy } from "./policy.mjs" */
/** @import { RunOptions } from "./tools.mjs" */
/** @import { Cursor, FinalResponse, Track } from "./track.mjs" */
/** @import { CreateBody } from "./tracks.mjs" */
/** @import { SessionState } from "./wire.d.mts" */

const MAX_TIMER_MS = 2 ** 31 - 1; // a longer one fires at once

/**
 * @typedef {object} ConnectOptions
 * @property {ApiKey} [apiKey] Sent as a sub-protocol, which browsers can. A function is asked at every handshake.
 * @property {string | null} [ticket] In place of a key, to follow one response.
 * @property {Partial<Policy>} [policy]
 * @property {WebSocketClass} [WebSocket] Default: the global one (browsers, Node 22 and newer, Bun, Deno).
 * @property {typeof globalThis.fetch} [fetch] For what goes over HTTP; default: the global one.
 */
/**
 * How the connection stands. "connecting": a socket is being opened, and there was none before. "reconnecting": another
 * one is being opened, or waited for. "idle": there is none and nothing needs one, or the client gave up; a request opens
 * one. "closed": by `close`, for good.
 *
 * @typedef {"idle" | "connecting" | "open" | "reconnecting" | "closed"} ConnectionState
 */
/** @typedef {Track | Steer | Update | Cut} Subject What one can wait for news of. */

/**
 * Open a client; rejects with ConnectionLost if the first connection fails. See `RealtimeClient`.
 *
 * @param {string} url
 * @param {ConnectOptions} [options]
 */
export function connect(url, options) {
  return RealtimeClient.connect(url, options);
}

/**
 * A connection that mends itself: the socket is opened again whenever an open response or a request needs one.
 *
 * Dispatches `statechange` after each change of `state`.
 */
export class RealtimeClient extends EventTarget {
  #url;
  #WebSocket;
  #policy;
  #credential;
  #session;
  #link = /** @type {Link | null} */ (null); // open, or being opened
  #opening = /** @type {PromiseWithResolvers<void> | null} */ (null); // of the first socket
  #state = /** @type {ConnectionState} */ ("connecting");
  #closed = false;
  #asleep = false; // the page is frozen, or kept for coming back to
  #timer = /** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined);
  #waiters = /** @type {WeakMap<Subject, (() => void)[]>} */ (new WeakMap()); // functions to call when it changes
  #dropped = /** @type {FinalizationRegistry<Track>} */ (
    new FinalizationRegistry((track) => this.#do(() => this.#session.letGo(track)))
  );
  #unwatchPage;

  /**
   * Like `connect`, but does not wait, and goes on after a failure while there are requests.
   *
   * @param {string} url
   * @param {ConnectOptions} [options]
   */
  constructor(url, { apiKey = null, ticket = null, policy = {}, WebSocket = globalThis.WebSocket, fetch } = {}) {
    super();
    if (!WebSocket) throw new RealtimeError("no WebSocket here: pass the option `WebSocket` (on Node 20: of package ws)");
    checkUrl(url);
    this.#url = url;
    this.#WebSocket = WebSocket;
    this.#policy = policyOf(policy);
    this.#credential = new Credential(apiKey, ticket);
    this.#session = new Session(policy, randomName());
    const http = new Http(httpBase(url), this.#credential, this.#policy, fetch ?? globalThis.fetch);
    /** Responses over HTTP: retrieve, delete, list, count tokens. */
    this.responses = new Responses(http);
    /** Conversations over HTTP. */
    this.conversations = new Conversations(http);
    this.#unwatchPage = watchPage({
      check: () => this.check(),
      online: () => this.#online(),
      sleep: () => this.#sleep(),
      wake: () => this.#wakeUp(),
    });
    this.#opening = withResolvers();
    /** Resolves when the first socket is open, and rejects with ConnectionLost when the first attempt fails. */
    this.opened = this.#opening.promise;
    this.opened.catch(() => {}); // whoever does not wait for it learns of it elsewhere
    this.#connect();
  }

  /**
   * See the function `connect`.
   *
   * @param {string} url
   * @param {ConnectOptions} [options]
   */
  static async connect(url, options) {
    const client = new this(url, options);
    try {
      await client.opened;
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  get state() {
    return this.#state;
  }

  /**
   * Start a response; resolves once the server has taken it. `body`: any member of `response.create`. Aborting `signal`
   * cancels it: before it is taken this rejects with the signal's reason, after that its events end with the terminal.
   *
   * @param {CreateBody} body
   * @param {{ signal?: AbortSignal }} [options]
   */
  async create(body, { signal } = {}) {
    signal?.throwIfAborted();
    this.#checkOpen();
    return this.#follow(this.#session.create(body), signal);
  }

  /**
   * Follow a response after a cursor: `{response_id, starting_after = -1, epoch}`, which is what `response.cursor` is.
   * Aborting `signal` detaches.
   *
   * @param {Pick<Cursor, "response_id"> & Partial<Cursor>} cursor
   * @param {{ signal?: AbortSignal }} [options]
   */
  async resume(cursor, { signal } = {}) {
    signal?.throwIfAborted();
    this.#checkOpen();
    return this.#follow(this.#session.resume(cursor), signal);
  }

  /**
   * Let the model call these functions until it answers without a call; resolves to that response. The calls of a turn run
   * at once; the model is told of one that fails, takes longer than `toolTimeoutSeconds` or has wrong arguments. Aborting
   * `signal` stops the response that runs, and tells the functions by theirs. Rejects with ToolLoopTooLong after
   * `maxTurns` responses. A call of a function that is not here ends the loop: the response that has it is returned.
   *
   * @param {CreateBody["input"]} input
   * @param {RunOptions} options Other members are those of `response.create`.
   * @returns {Promise<FinalResponse>}
   */
  run(input, options) {
    return run(this, input, options);
  }

  /**
   * Give the connection a new credential of the same tenant, or another time between heartbeats; resolves to how it
   * stands. Later connections use it too. Rejects with ServerError when it is refused; then nothing changes.
   *
   * @param {{ apiKey?: string | null, heartbeatSeconds?: number | null }} changes
   * @returns {Promise<SessionState>}
   */
  async update({ apiKey = null, heartbeatSeconds = null }) {
    this.#checkOpen();
    if (apiKey !== null && !this.#isOpen) this.#credential.renew(apiKey); // the old one may be what keeps us from connecting
    const update = this.#session.update({
      ...(apiKey === null ? {} : { api_key: apiKey }),
      ...(heartbeatSeconds === null ? {} : { heartbeat_seconds: heartbeatSeconds }),
    });
    this.#pump();
    while (update.state === null && update.error === null) await this.#next(update);
    if (update.state === null) throw update.error;
    if (apiKey !== null) this.#credential.renew(apiKey);
    return update.state;
  }

  /** The newest heartbeat: `engine`, and how each response that is followed does. null before the first. */
  get heartbeat() {
    return this.#session.heartbeat;
  }

  /** Find out at once whether the socket lives, and connect at once if it does not. Browsers call it by themselves. */
  check() {
    this.#do(() => this.#session.check(now()));
  }

  /** Close the socket. Open responses end with ClientClosed here; at the server `on_disconnect` decides. */
  close() {
    if (this.#closed) return;
    this.#pump(); // a detach or cancel of just now still goes out
    this.#closed = true;
    this.#unwatchPage();
    clearTimeout(this.#timer);
    this.#session.close();
    this.#wake();
    this.#drop(1000);
    this.#opening?.reject(new ClientClosed("the client was closed"));
    this.#tellState();
  }

  [Symbol.dispose ?? Symbol.for("dispose")]() {
    this.close();
  }

  get #isOpen() {
    return this.#link?.isOpen ?? false;
  }

  #checkOpen() {
    if (this.#closed) throw new ClientClosed("the client is closed");
  }

  /**
   * Wait until the server has confirmed it.
   *
   * @param {Track} track
   * @param {AbortSignal} [signal]
   */
  async #follow(track, signal) {
    const stop = () => {
      this.#do(() => this.#stop(track));
      this.#notify(track);
    };
    signal?.addEventListener("abort", stop, { once: true });
    this.#onceOver(track, () => signal?.removeEventListener("abort", stop));
    this.#pump();
    while (!track.confirmed && !track.over && !signal?.aborted) await this.#next(track);
    if (!track.confirmed) {
      signal?.throwIfAborted();
      throw track.error;
    }
    return this.#handle(track);
  }

  /** @param {Track} track */
  #handle(track) {
    const response = new Response(track, this.#session, {
      pump: () => this.#pump(),
      next: (what) => this.#next(what),
      handle: (other) => this.#handle(other),
      fetch: (id) => this.responses.wait(id),
    });
    this.#dropped.register(response, track);
    return response;
  }

  /**
   * What an abort means: a create is cancelled; a response of others is left.
   *
   * @param {Track} track
   */
  #stop(track) {
    if (!track.confirmed) this.#session.abandon(track);
    else if (track.request) this.#session.cancel(track);
    else this.#session.detach(track);
  }

  /**
   * Resolves when there is news of it.
   *
   * @param {Subject} what
   * @returns {Promise<void>}
   */
  #next(what) {
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(what) ?? [];
      this.#waiters.set(what, waiters);
      waiters.push(resolve);
    });
  }

  /**
   * @param {Track} track
   * @param {() => void} then
   */
  async #onceOver(track, then) {
    while (!track.over) await this.#next(track);
    then();
  }

  #wake() {
    for (const what of this.#session.changed()) this.#notify(what);
  }

  /** @param {Subject} what */
  #notify(what) {
    const waiters = this.#waiters.get(what) ?? [];
    this.#waiters.delete(what);
    for (const resolve of waiters) resolve();
  }

  /** @param {() => void} change */
  #do(change) {
    if (this.#closed) return;
    change();
    this.#pump();
  }

  // the socket's life

  /** After anything that happens: send what there is to send, wake who waits, and come back when it is time. */
  #pump() {
    if (this.#closed) return;
    const at = now();
    if (this.#isOpen && this.#session.silent(at)) this.#lost(ConnectionLost.closed(1006, "no sign of life"));
    if (this.#isOpen) for (const frame of this.#session.frames(at)) this.#link?.send(frame);
    this.#wake();
    clearTimeout(this.#timer);
    const due = this.#dueAt;
    if (due !== null && (this.#isOpen || due > at)) {
      this.#timer = setTimeout(() => this.#pump(), Math.min(Math.max(0, due - at) * 1000, MAX_TIMER_MS));
    } else if (due !== null && this.#link !== null) {
      this.#late();
    } else if (due !== null) {
      this.#connect();
    }
    this.#tellState();
  }

  /** When to come back: to send, to give up an attempt to open a socket, or to begin one. */
  get #dueAt() {
    if (this.#isOpen) return this.#session.dueAt;
    if (this.#link !== null) return this.#session.dialUntil;
    return this.#asleep ? null : this.#session.connectAt;
  }

  #late() {
    const text = `no connection to ${this.#url}: the attempt took too long`;
    this.#ended(new ConnectionLost(text, { retry: true, code: 1006 }));
  }

  #connect() {
    this.#session.connecting(now());
    const link = new Link({
      url: this.#url,
      credential: this.#credential,
      WebSocket: this.#WebSocket,
      opened: () => this.#opened(),
      received: (data) => this.#received(data),
      ended: (lost) => this.#ended(lost),
    });
    this.#link = link;
    this.#pump(); // to come back when it takes too long
  }

  #opened() {
    this.#session.connected(now());
    this.#opening?.resolve();
    this.#opening = null;
    this.#pump();
  }

  /** @param {string} data */
  #received(data) {
    try {
      this.#session.receive(data, now());
    } catch (error) {
      this.#lost(error instanceof RealtimeError ? error : new ProtocolError(String(error)));
    }
    this.#pump();
  }

  /** @param {ConnectionLost} lost */
  #ended(lost) {
    this.#opening?.reject(lost);
    this.#opening = null;
    const isRefused = lost.status === 401 || lost.code === 4401;
    if (isRefused && this.#credential.renewsItself) lost.retry = true;
    this.#lost(lost);
    this.#pump();
  }

  /** @param {ConnectionLost | ProtocolError} error */
  #lost(error) {
    this.#drop();
    this.#session.disconnected(error, now());
  }

  /**
   * Forget the socket; whatever it still says is not heard.
   *
   * @param {number} [code]
   */
  #drop(code) {
    this.#link?.drop(code);
    this.#link = null;
  }

  #tellState() {
    if (this.#session.state === this.#state) return;
    this.#state = this.#session.state;
    this.dispatchEvent(new Event("statechange"));
  }

  // the page's life

  /** What was being opened while there was no network may never be. */
  #online() {
    if (this.#link !== null && !this.#isOpen && this.#opening === null) this.#lost(ConnectionLost.closed(1006));
    this.check();
  }

  /** A page with an open socket can't be kept for coming back to, and a frozen one does not hear it. */
  #sleep() {
    if (this.#closed || this.#asleep || this.#opening !== null) return;
    this.#asleep = true;
    this.#lost(ConnectionLost.closed(1001, "the page sleeps"));
    this.#pump();
  }

  #wakeUp() {
    this.#asleep = false;
    this.check();
  }
}

/** Promise.withResolvers, which Node 20 lacks. */
function withResolvers() {
  const parts = /** @type {PromiseWithResolvers<void>} */ ({});
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}
