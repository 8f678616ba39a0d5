import { ClientClosed, ConnectionLost, ProtocolError, RealtimeError, URL_HINT } from "./errors.mjs";
import { watchPage } from "./page.mjs";
import { Response } from "./response.mjs";
import { Session } from "./session.mjs";

export const SUBPROTOCOL = "realtime.v1";

/** Open a client; rejects with ConnectionLost if the first connection fails. See `RealtimeClient`. */
export async function connect(url, { apiKey = null, ticket = null, policy = {}, WebSocket = globalThis.WebSocket } = {}) {
  if (!WebSocket) throw new RealtimeError("no WebSocket here: pass the option `WebSocket` (on Node 20: of package ws)");
  const credential = (key) => (key !== null ? [`openai-insecure-api-key.${key}`] : ticket !== null ? [`realtime-ticket.${ticket}`] : []);
  const protocols = (key) => [SUBPROTOCOL, ...credential(key)];
  checkUrl(url);
  const client = new RealtimeClient((key) => new WebSocket(url, protocols(key)), policy, apiKey);
  await client.opened;
  return client;
}

function checkUrl(url) {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1].toLowerCase();
  if (scheme === "ws" || scheme === "wss" || (scheme === undefined && globalThis.location)) return; // a page's own server
  throw new ConnectionLost(`${url} is no URL of a WebSocket: ${URL_HINT}`, { retry: false });
}

/** A connection that mends itself: the socket is opened again whenever an open response or a request needs one. */
export class RealtimeClient {
  #dial;
  #apiKey;
  #session;
  #socket = null; // open, or being opened
  #isOpen = false;
  #closed = false;
  #timer = null;
  #waiters = new Map(); // track -> functions to call when it changes
  #dropped = new FinalizationRegistry((track) => this.#do(() => this.#session.letGo(track)));
  #unwatchPage;

  constructor(dial, policy, apiKey) {
    this.#dial = dial;
    this.#apiKey = apiKey;
    this.#session = new Session(policy, randomName());
    this.#unwatchPage = watchPage(() => this.check());
    this.opened = new Promise((resolve, reject) => this.#connect(resolve, reject));
  }

  /**
   * Start a response; resolves once the server has taken it. `body`: any member of `response.create`. Aborting `signal`
   * cancels it: before it is taken this rejects with the signal's reason, after that its events end with the terminal.
   */
  async create(body, { signal } = {}) {
    signal?.throwIfAborted();
    this.#checkOpen();
    return this.#follow(this.#session.create(body), signal);
  }

  /**
   * Follow a response after a cursor: `{response_id, starting_after = -1, epoch}`, which is what `response.cursor` is.
   * Aborting `signal` detaches.
   */
  async resume(cursor, { signal } = {}) {
    signal?.throwIfAborted();
    this.#checkOpen();
    return this.#follow(this.#session.resume(cursor), signal);
  }

  /**
   * Give the connection a new credential of the same tenant, or another time between heartbeats; resolves to how it
   * stands. Later connections use it too. Rejects with ServerError when it is refused; then nothing changes.
   */
  async update({ apiKey = null, heartbeatSeconds = null }) {
    this.#checkOpen();
    if (apiKey !== null && !this.#isOpen) this.#apiKey = apiKey; // the old one may be what keeps us from connecting
    const members = {
      ...(apiKey === null ? {} : { api_key: apiKey }),
      ...(heartbeatSeconds === null ? {} : { heartbeat_seconds: heartbeatSeconds }),
    };
    const update = this.#session.update(members);
    this.#pump();
    while (update.state === null && update.error === null) await this.#next(update);
    if (update.error !== null) throw update.error;
    this.#apiKey = apiKey ?? this.#apiKey;
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
    this.#drop()?.close(1000);
  }

  [Symbol.dispose ?? Symbol.for("dispose")]() {
    this.close();
  }

  #checkOpen() {
    if (this.#closed) throw new ClientClosed("the client is closed");
  }

  /** Wait until the server has confirmed it. */
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

  #handle(track) {
    const next = (what) => this.#next(what);
    const response = new Response(track, this.#session, () => this.#pump(), next, (other) => this.#handle(other));
    this.#dropped.register(response, track);
    return response;
  }

  /** What an abort means: a create is cancelled; a response of others is left. */
  #stop(track) {
    if (!track.confirmed) this.#session.abandon(track);
    else if (track.request) this.#session.cancel(track);
    else this.#session.detach(track);
  }

  /** Resolves when there is news of a track, a steer or an update. */
  #next(track) {
    return new Promise((resolve) => {
      const waiters = this.#waiters.get(track) ?? [];
      this.#waiters.set(track, waiters);
      waiters.push(resolve);
    });
  }

  async #onceOver(track, then) {
    while (!track.over) await this.#next(track);
    then();
  }

  #wake() {
    for (const track of this.#session.changed()) this.#notify(track);
  }

  #notify(track) {
    const waiters = this.#waiters.get(track) ?? [];
    this.#waiters.delete(track);
    for (const resolve of waiters) resolve();
  }

  #do(change) {
    if (this.#closed) return;
    change();
    this.#pump();
  }

  /** After anything that happens: send what there is to send, wake who waits, and come back when it is time. */
  #pump() {
    if (this.#closed) return;
    const at = now();
    if (this.#isOpen && this.#session.silent(at)) this.#lost(ConnectionLost.closed(1006, "no sign of life"));
    if (this.#isOpen) for (const frame of this.#session.frames(at)) this.#socket.send(frame);
    this.#wake();
    clearTimeout(this.#timer);
    const due = this.#isOpen ? this.#session.dueAt : this.#socket === null ? this.#session.connectAt : null;
    if (due === null) return;
    if (!this.#isOpen && due <= at) this.#connect();
    else this.#timer = setTimeout(() => this.#pump(), Math.max(0, due - at) * 1000);
  }

  /** Without arguments: again. The first time, success and failure are the caller's. */
  #connect(resolve = () => {}, reject = null) {
    const socket = (this.#socket = this.#dial(this.#apiKey));
    let why = "";
    const lose = (lost) => {
      if (reject === null) {
        this.#lost(lost);
        this.#pump();
      } else {
        this.#drop();
        this.close();
        reject(lost);
      }
    };
    socket.onopen = () => {
      if (socket.protocol !== SUBPROTOCOL) {
        lose(ConnectionLost.closed(1002, `the server does not speak ${SUBPROTOCOL}`));
        socket.close();
        return;
      }
      this.#isOpen = true;
      this.#session.connected(now());
      reject = null;
      resolve();
      this.#pump();
    };
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onerror = ({ message }) => (why = message ?? ""); // a close follows
    socket.onclose = ({ code, reason }) => {
      lose(this.#isOpen ? ConnectionLost.closed(code, reason) : ConnectionLost.unopened(socket.url, code, why));
    };
    // Package ws tells what the server answered instead of opening a socket.
    socket.on?.("unexpected-response", async (request, response) => {
      let body = "";
      try {
        for await (const chunk of response.setEncoding("utf8")) body += chunk;
      } catch {} // cut short
      if (socket === this.#socket) {
        lose(ConnectionLost.refused(socket.url, response.statusCode, body));
        socket.close();
      }
    });
  }

  #received(data) {
    try {
      this.#session.receive(data, now());
    } catch (error) {
      this.#lost(error instanceof RealtimeError ? error : new ProtocolError(String(error)));
    }
    this.#pump();
  }

  #lost(error) {
    this.#drop()?.close();
    this.#session.disconnected(error, now());
  }

  /** Forget the socket; whatever it still says is not heard. */
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#isOpen = false;
    if (socket !== null) Object.assign(socket, { onopen: null, onmessage: null, onclose: null });
    return socket;
  }
}

const now = () => performance.now() / 1000;

function randomName() {
  // not randomUUID: pages that come over plain HTTP do not have it
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
