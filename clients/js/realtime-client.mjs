/**
 * Client of the realtime server, for browsers and Node 20 or newer. No dependencies.
 *
 * Three layers, top to bottom: errors and small pure parts; `Session`, which decides everything and does no I/O (the
 * twin of the Python client's session.py: see clients/README.md for the algorithm); `RealtimeClient`, the shell around
 * one WebSocket, and `Response`, what callers hold.
 */

export const SUBPROTOCOL = "realtime.v1";

// -- errors

/** Base of every error of this module. */
export class RealtimeError extends Error {
  constructor(message) {
    super(message);
    this.name = new.target.name;
  }
}

// RFC 6455 section 7.4. After any other code the same thing would happen again.
const RECONNECT_CODES = new Set([1001, 1005, 1006, 1011, 1012, 1013, 1015]);

/** The socket is gone and will not be, or could not be, opened again. `retry`: trying again later may help. */
export class ConnectionLost extends RealtimeError {
  constructor(message, { retry, code = null }) {
    super(message);
    this.retry = retry;
    this.code = code;
  }

  static closed(code, reason = "") {
    const text = `the connection was closed with code ${code}${reason ? `: ${reason}` : ""}`;
    return new ConnectionLost(text, { retry: RECONNECT_CODES.has(code), code });
  }
}

/** The server sent what this protocol does not allow. */
export class ProtocolError extends RealtimeError {}
/** The client was closed while this response was still open. */
export class ClientClosed extends RealtimeError {}
/** The response was detached: it goes on at the server, but this handle no longer follows it. */
export class Detached extends RealtimeError {}
/** This client follows that response already. */
export class AlreadyFollowed extends RealtimeError {}
/** The request is larger than the server takes. */
export class RequestTooLarge extends RealtimeError {}

/** The response ended as `failed`. */
export class ResponseFailed extends RealtimeError {
  constructor(response, error) {
    super(`${error?.code}: ${error?.message}`);
    this.response = response;
    this.code = error?.code ?? null;
  }
}

/** The server refused a request. `retry`: the same request may succeed, after `retryAfter` seconds if given. */
export class ServerError extends RealtimeError {
  constructor(event) {
    const { type = null, code = null, message = null, param = null, retry = false, retry_after } = event.error ?? {};
    super(`${code}: ${message}`);
    Object.assign(this, { status: event.status ?? null, type, code, param, retry, retryAfter: retry_after ?? null });
  }

  static of(event) {
    return new (ERROR_CLASSES[event.error?.code] ?? ServerError)(event);
  }
}

export class ResponseNotFound extends ServerError {}
export class EpochMismatch extends ServerError {}
export class CursorTooOld extends ServerError {}
export class CursorAhead extends ServerError {}
export class IdempotencyConflict extends ServerError {}

const ERROR_CLASSES = {
  response_not_found: ResponseNotFound,
  epoch_mismatch: EpochMismatch,
  cursor_too_old: CursorTooOld,
  slow_reader: CursorTooOld,
  cursor_ahead: CursorAhead,
  idempotency_conflict: IdempotencyConflict,
};

// -- pure parts

/** How patient a client is and how much it holds. Seconds; `maxBufferLength` counts characters of unread events. */
export const DEFAULT_POLICY = Object.freeze({
  initialDelaySeconds: 0.25,
  maxDelaySeconds: 10,
  maxRetrySeconds: 60, // without any progress: to connect, and to have a request taken that was refused for now
  maxBufferLength: 2 ** 20, // more of one response unread: detach it at the server, fetch the rest later
  numLanes: 16, // creates that run at once; more wait here
  idleSeconds: 20, // silence, with a response open, before the server is asked whether it is there
  probeSeconds: 5, // how long it may take to answer that
});

const LEGAL = {
  held: ["creating", "over"], // a create that waits: for a connection, its lane, or the time to try again
  creating: ["live", "held", "over"], // sent, not confirmed by `response.created`
  live: ["paused", "lost", "over"], // the server sends it, we take it
  paused: ["lost", "over"], // detached at the server, because too much waits here unread
  lost: ["resuming", "leaving", "over"], // to be resumed at the cursor
  resuming: ["live", "lost", "over"], // what arrives before `response.resumed` is from an older reading
  leaving: ["over"], // the caller let go while the socket was down; the server is still to hear of it
  over: [],
};

/** One response as this client follows it: where it is in its life, its cursor, the events that wait to be read. */
class Track {
  request = ""; // the encoded `response.create`; sent again it is the same bytes
  requestId = null;
  named = false; // others may know it: a caller who stops waiting must not stop it
  previousResponseId = null;
  lane = null;
  responseId = null;
  epoch = null;
  nextNumber = 0;
  numGaps = 0; // in a row, without any progress
  events = []; // unread, from `firstUnread` on: shift() of a long array is slow
  firstUnread = 0;
  length = 0; // characters unread
  terminal = null;
  final = null;
  error = null;
  confirmed = false;
  abandoned = false;
  cancelWanted = false;
  cancelSent = false;
  cancelRefusal = null;
  attempts = 0;
  retryAt = 0;
  troubledSince = null;

  constructor(serial, phase) {
    this.serial = serial;
    this.phase = phase;
  }

  get over() {
    return this.phase === "over" || this.phase === "leaving";
  }

  get numUnread() {
    return this.events.length - this.firstUnread;
  }

  /** Right after the last event that was taken; what waits unread counts as not processed. */
  get cursor() {
    return { response_id: this.responseId, starting_after: this.nextNumber - this.numUnread - 1, epoch: this.epoch };
  }

  move(phase) {
    if (!LEGAL[this.phase].includes(phase)) throw new Error(`a track can't go from ${this.phase} to ${phase}`);
    this.phase = phase;
  }

  /** Keep the event if it is the next one: "next", "duplicate" or "gap". */
  accept(event, length) {
    const number = event.sequence_number;
    if (!Number.isInteger(number)) throw new ProtocolError(`${event.type} of a response without a sequence number`);
    if (number !== this.nextNumber) return number < this.nextNumber ? "duplicate" : "gap";
    this.nextNumber += 1;
    this.events.push([event, length]);
    this.length += length;
    Object.assign(this, { numGaps: 0, attempts: 0, retryAt: 0, troubledSince: null });
    if (event.done === true) this.#end(event);
    return "next";
  }

  take() {
    if (this.numUnread === 0) return null;
    const [event, length] = this.events[this.firstUnread];
    this.events[this.firstUnread++] = undefined;
    if (this.firstUnread === this.events.length) {
      this.events = [];
      this.firstUnread = 0;
    }
    this.length -= length;
    return event;
  }

  /** Forget what waits unread, as if it had never been received. */
  discard() {
    this.nextNumber -= this.numUnread;
    Object.assign(this, { events: [], firstUnread: 0, length: 0 });
  }

  #end(event) {
    this.terminal = event;
    this.final = finalResponse(event.response ?? {});
    if (event.type === "response.failed" || event.type === "error") {
      this.error = new ResponseFailed(this.final, this.final.error ?? event.error);
    }
  }
}

/** The response object, with `output_text`: all output text, joined. */
function finalResponse(response) {
  const parts = (response.output ?? []).flatMap((item) => item.content ?? []);
  const text = parts.filter((part) => part.type === "output_text").map((part) => part.text);
  return Object.defineProperty({ ...response }, "output_text", { value: text.join("") });
}

/** The lane of a request that the caller has named: the same in every process, as the body of a retry must be. */
function laneOfRequest(requestId) {
  const sum = new TextEncoder().encode(requestId).reduce((total, byte) => total + byte, 0);
  return `request-${sum % 8}`;
}

/**
 * Which lane (`stream_id`) a create goes to. A lane runs one response at a time, `response.created` names the lane and
 * not the request, and a server keeps a `store: false` answer only as the last of its lane: so one at a time in a
 * lane, a continuation where its parent is, other work in the lane that was idle longest.
 */
class Lanes {
  #last = new Map(); // lane -> id of its last response; least recently used first

  constructor(prefix, count) {
    for (let index = 0; index < count; index++) this.#last.set(`${prefix}-${index}`, null);
  }

  choose(busy, previousResponseId) {
    const free = [...this.#last.keys()].filter((lane) => !busy.has(lane));
    const home = previousResponseId && free.find((lane) => this.#last.get(lane) === previousResponseId);
    return home || free[0] || null;
  }

  used(lane, responseId) {
    if (this.#last.delete(lane)) this.#last.set(lane, responseId);
  }
}

const ask = (kind, track, members = {}) =>
  JSON.stringify({
    type: `response.${kind}`,
    event_id: `${kind}.${track.serial}`,
    response_id: track.responseId,
    ...members,
  });

const resumeFrame = (track) =>
  ask("resume", track, {
    starting_after: track.nextNumber - 1,
    ...(track.epoch === null ? {} : { epoch: track.epoch }),
  });

const partingFrames = (track) => [
  ...(track.cancelWanted && !track.cancelSent ? [ask("cancel", track)] : []),
  ask("detach", track),
];

const MAX_GAPS = 3; // resumes in a row that brought nothing: the server's numbers are broken, not the network
const GOING_DOWN = new Set(["server_draining", "websocket_connection_limit_reached"]);

/**
 * What a client does, without any I/O: the state of all its responses, whatever happens to the socket.
 *
 * The shell reports (`connected`, `disconnected`, `receive`), passes on what the caller wants and then drains: `frames`
 * to send, `changed` tracks to wake, `connectAt` or `dueAt` for when to come back, `silent` for a socket that is dead.
 * Frames are derived from where each track is, so nothing is lost with a socket. `now` is in seconds.
 */
export class Session {
  #policy;
  #name;
  #random;
  #lanes;
  #tracks = new Map(); // the open ones, oldest first
  #byId = new Map();
  #changed = new Set();
  #outbox = [];
  #nextSerial = 0;
  #connected = false;
  #draining = false;
  #maxMessageBytes = Infinity;
  #connectAt = 0;
  #attempts = 0;
  #troubledSince = null;
  #dueAt = 0;
  #heardAt = 0;
  #probedAt = null;

  constructor(policy, name, random = Math.random) {
    this.#policy = { ...DEFAULT_POLICY, ...policy };
    this.#name = name;
    this.#random = random;
    this.#lanes = new Lanes(name, this.#policy.numLanes);
  }

  // what the caller wants

  create(body) {
    const track = new Track(this.#nextSerial, "held");
    track.named = body.request_id != null;
    track.requestId = track.named ? body.request_id : `${this.#name}-${track.serial}`;
    if ([...this.#tracks.values()].some((other) => other.requestId === track.requestId)) {
      throw new AlreadyFollowed(`a response with request_id '${track.requestId}' is open on this client`);
    }
    const fixed = { type: "response.create", event_id: `create.${track.serial}`, request_id: track.requestId };
    track.request = JSON.stringify({ ...body, ...fixed });
    track.lane = body.stream_id ?? null;
    if (track.named && track.lane === null) this.#putInLane(track, laneOfRequest(track.requestId));
    track.previousResponseId = body.previous_response_id ?? null;
    return this.#open(track);
  }

  resume({ response_id, starting_after = -1, epoch = null }) {
    if (this.#byId.has(response_id)) {
      throw new AlreadyFollowed(`this client follows response '${response_id}' already`);
    }
    const track = new Track(this.#nextSerial, "lost");
    Object.assign(track, { named: true, responseId: response_id, epoch, nextNumber: starting_after + 1 });
    this.#byId.set(response_id, track);
    return this.#open(track);
  }

  /** Stop the response. The wish outlives the socket: it is repeated until the terminal event is here. */
  cancel(track) {
    if (track.over || track.cancelWanted) return;
    Object.assign(track, { cancelWanted: true, cancelRefusal: null });
    if (track.phase === "paused") this.#move(track, "lost");
    this.#dueAt = 0;
  }

  /** Let go of the response; it goes on at the server. What waits unread is forgotten, so the cursor is exact. */
  detach(track) {
    if (track.over) return;
    if (track.phase === "creating") {
      track.abandoned = true;
      return;
    }
    track.discard();
    if (track.phase === "lost") {
      track.error = new Detached("the response was detached");
      this.#byId.delete(track.responseId);
      this.#move(track, "leaving");
      return;
    }
    if (track.phase === "live" || track.phase === "resuming") this.#outbox.push(...partingFrames(track));
    this.#fail(track, new Detached("the response was detached"));
  }

  /** Nobody waits for this create any more, so nobody will know its id: cancel it, unless others may know it. */
  abandon(track) {
    track.cancelWanted = !track.named;
    this.detach(track);
  }

  /** The oldest unread event or null. Makes room: a paused response is resumed when half is free. */
  take(track) {
    const event = track.take();
    if (track.phase === "paused" && track.length <= this.#policy.maxBufferLength / 2) this.#move(track, "lost");
    return event;
  }

  close(error = new ClientClosed("the client was closed")) {
    for (const track of [...this.#tracks.values()]) this.#fail(track, error);
  }

  /** Something happened that may have cost the socket, or brought the network back: find out at once. */
  check(now) {
    this.#connectAt = Math.min(this.#connectAt, now);
    if (this.#connected && this.#probedAt === null) this.#probe(now);
  }

  // what the socket says

  connected(now) {
    this.#connected = true;
    this.#draining = false;
    this.#dueAt = 0;
    this.#heardAt = now;
    this.#probedAt = null;
  }

  disconnected(lost, now) {
    this.#connected = false;
    this.#outbox = [];
    for (const track of [...this.#tracks.values()]) this.#cut(track);
    if (!this.#needsSocket()) return this.#settle();
    this.#troubledSince ??= now;
    this.#connectAt = now + this.#delay(this.#attempts++, null);
    if (!lost.retry || this.#connectAt > this.#troubledSince + this.#policy.maxRetrySeconds) {
      this.#settle();
      for (const track of [...this.#tracks.values()]) if (track.phase !== "paused") this.#fail(track, lost);
    }
  }

  /** One message. Throws ProtocolError when it can't be what a server of this protocol sends. */
  receive(data, now) {
    this.#heardAt = now;
    this.#probedAt = null;
    const event = parse(data);
    if ("response_id" in event) this.#responseEvent(event, data.length);
    else if (event.type === "session.created") this.#greeted(event.session?.limits ?? {});
    else if (event.type === "session.draining") this.#draining = true;
    else if (event.type === "response.resumed") this.#resumed(event.resumed);
    else if (event.type === "error") this.#refused(event, now);
    // any other is news of a later version: ignored
  }

  // what is to be done about it

  get connectAt() {
    return !this.#connected && this.#needsSocket() ? this.#connectAt : null;
  }

  get dueAt() {
    if (!this.#connected) return null;
    const { idleSeconds, probeSeconds } = this.#policy;
    const idleAt = this.#tracks.size > 0 ? this.#heardAt + idleSeconds : Infinity;
    const at = Math.min(this.#dueAt, this.#probedAt === null ? idleAt : this.#probedAt + probeSeconds);
    return at === Infinity ? null : at;
  }

  /** The socket did not answer in time: report it as disconnected. */
  silent(now) {
    return this.#connected && this.#probedAt !== null && now >= this.#probedAt + this.#policy.probeSeconds;
  }

  frames(now) {
    if (!this.#connected) return [];
    const idle = this.#tracks.size > 0 && now >= this.#heardAt + this.#policy.idleSeconds;
    if (idle && this.#probedAt === null) this.#probe(now);
    const out = this.#outbox;
    this.#outbox = [];
    if (now >= this.#dueAt) {
      this.#dueAt = Infinity;
      for (const track of [...this.#tracks.values()]) out.push(...this.#due(track, now));
    }
    return out;
  }

  changed() {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  // events

  #responseEvent(event, length) {
    let track = this.#byId.get(event.response_id);
    if (event.type === "response.created" && (!track || track.nextNumber > 0)) track = this.#confirm(event) ?? track;
    if (track?.phase === "live") this.#deliver(track, event, length); // else from before an expected `resumed`
  }

  /** A response that we do not know: it is the one that is being created in its lane. */
  #confirm(event) {
    const lane = event.stream_id ?? null;
    const track = [...this.#tracks.values()].find((other) => other.phase === "creating" && other.lane === lane);
    if (!track) return null;
    if (this.#byId.has(event.response_id)) {
      this.#fail(track, new AlreadyFollowed(`this client follows response '${event.response_id}' already`));
      return null;
    }
    Object.assign(track, { responseId: event.response_id, epoch: event.epoch ?? null, confirmed: true });
    this.#lanes.used(lane, event.response_id);
    this.#move(track, "live");
    this.#byId.set(event.response_id, track);
    if (track.abandoned) this.detach(track);
    return track;
  }

  #deliver(track, event, length) {
    const verdict = track.accept(event, length);
    if (verdict === "gap") {
      if (++track.numGaps <= MAX_GAPS) return this.#move(track, "lost");
      this.#outbox.push(ask("detach", track));
      this.#fail(track, new ProtocolError(`event ${track.nextNumber} of ${track.responseId} never comes`));
    } else if (verdict === "next") {
      this.#settle();
      this.#changed.add(track);
      if (track.terminal !== null) {
        this.#end(track);
      } else if (track.length > this.#policy.maxBufferLength && !track.cancelWanted) {
        this.#outbox.push(ask("detach", track));
        this.#move(track, "paused");
      }
    }
  }

  #greeted({ max_message_bytes = Infinity }) {
    this.#maxMessageBytes = max_message_bytes;
  }

  #resumed({ response_id, epoch }) {
    const track = this.#byId.get(response_id);
    if (track?.phase !== "resuming") return;
    Object.assign(track, { epoch, confirmed: true });
    this.#settle();
    this.#move(track, "live");
  }

  #refused(event, now) {
    const error = ServerError.of(event);
    const [asked, serial] = String(event.event_id ?? "").split(".");
    const track = this.#tracks.get(Number(serial));
    if (GOING_DOWN.has(error.code)) this.#draining = true;
    if (asked === "create" && track?.phase === "creating") {
      this.#refuse(track, "held", error, now);
    } else if (asked === "resume" && track?.phase === "resuming") {
      this.#refuse(track, "lost", error, now);
    } else if (asked === "cancel" && track && error.code !== "response_already_completed") {
      Object.assign(track, { cancelWanted: false, cancelSent: false, cancelRefusal: error });
      this.#changed.add(track);
    } else if (asked === "" && error.code === "slow_reader") {
      // the server let go of one of ours, and does not say which
      for (const live of this.#tracks.values()) if (live.phase === "live") this.#move(live, "lost");
    }
  }

  /** Try again later if that can help and somebody still waits; else it is the caller's. */
  #refuse(track, phase, error, now) {
    track.troubledSince ??= now;
    track.retryAt = now + this.#delay(track.attempts++, error.retryAfter);
    const tooLate = track.retryAt > track.troubledSince + this.#policy.maxRetrySeconds;
    if (!error.retry || tooLate || track.abandoned) this.#fail(track, error);
    else this.#move(track, phase);
  }

  // frames

  #due(track, now) {
    const out = [];
    if ((track.phase === "held" || track.phase === "lost") && track.retryAt > now) {
      this.#dueAt = Math.min(this.#dueAt, track.retryAt);
    } else if (track.phase === "held" && !this.#draining) {
      out.push(...this.#sendCreate(track));
    } else if (track.phase === "lost") {
      this.#move(track, "resuming");
      out.push(resumeFrame(track));
    } else if (track.phase === "leaving") {
      out.push(resumeFrame(track), ...partingFrames(track)); // a detach is only for what this very socket follows
      this.#end(track);
    }
    if (track.cancelWanted && !track.cancelSent && (track.phase === "live" || track.phase === "resuming")) {
      track.cancelSent = true;
      out.push(ask("cancel", track));
    }
    return out;
  }

  #sendCreate(track) {
    const holding = [...this.#tracks.values()].filter(({ phase }) => !["held", "paused", "leaving"].includes(phase));
    const busy = new Set(holding.map(({ lane }) => lane));
    if (track.lane === null) {
      const lane = this.#lanes.choose(busy, track.previousResponseId);
      if (lane === null) return [];
      this.#putInLane(track, lane);
    } else if (busy.has(track.lane)) {
      return [];
    }
    if (new TextEncoder().encode(track.request).length > this.#maxMessageBytes) {
      this.#fail(track, new RequestTooLarge(`the server takes at most ${this.#maxMessageBytes} bytes`));
      return [];
    }
    this.#move(track, "creating");
    return [track.request];
  }

  /** For good: an ambiguous retry must be the same bytes. */
  #putInLane(track, lane) {
    track.lane = lane;
    track.request = `{"stream_id":"${lane}",${track.request.slice(1)}`;
  }

  /** Any message is a sign of life; this one gets an answer from every server: there is no such response. */
  #probe(now) {
    this.#probedAt = now;
    this.#outbox.push(JSON.stringify({ type: "response.detach", event_id: "probe", response_id: "probe" }));
  }

  // small parts

  #open(track) {
    this.#tracks.set(track.serial, track);
    this.#nextSerial += 1;
    this.#dueAt = 0;
    return track;
  }

  #move(track, phase) {
    track.move(phase);
    this.#changed.add(track);
    this.#dueAt = 0;
  }

  #fail(track, error) {
    track.error = error;
    this.#end(track);
  }

  #end(track) {
    this.#move(track, "over");
    this.#tracks.delete(track.serial);
    if (this.#byId.get(track.responseId) === track) this.#byId.delete(track.responseId);
  }

  #cut(track) {
    track.cancelSent = false;
    if (track.phase === "creating") {
      if (track.abandoned) this.#end(track);
      else this.#move(track, "held");
    } else if (track.phase === "live" || track.phase === "resuming") {
      this.#move(track, "lost");
    }
  }

  /** All is well, or nothing depends on it: the next trouble starts counting from zero. */
  #settle() {
    this.#attempts = 0;
    this.#troubledSince = null;
  }

  #needsSocket() {
    for (const track of this.#tracks.values()) if (track.phase !== "paused") return true;
    return false;
  }

  #delay(attempt, retryAfter) {
    const { initialDelaySeconds, maxDelaySeconds } = this.#policy;
    const backoff = Math.min(maxDelaySeconds, initialDelaySeconds * 2 ** Math.min(attempt, 32));
    return (retryAfter ?? 0) + backoff * (0.5 + this.#random() / 2);
  }
}

function parse(data) {
  let event = null;
  try {
    event = JSON.parse(data);
  } catch {
    // falls through: null is no event either
  }
  if (typeof event?.type !== "string") throw new ProtocolError(`not an event: ${String(data).slice(0, 80)}`);
  return event;
}

// -- the shell

/** Open a client; rejects with ConnectionLost if the first connection fails. See `RealtimeClient`. */
export async function connect(url, { apiKey = null, policy = {}, WebSocket = globalThis.WebSocket } = {}) {
  if (!WebSocket) throw new RealtimeError("no WebSocket here: pass the option `WebSocket` (on Node 20: of package ws)");
  const protocols = apiKey === null ? [SUBPROTOCOL] : [SUBPROTOCOL, `openai-insecure-api-key.${apiKey}`];
  const client = new RealtimeClient(() => new WebSocket(url, protocols), policy);
  await client.opened;
  return client;
}

/** A connection that mends itself: the socket is opened again whenever an open response or a request needs one. */
export class RealtimeClient {
  #dial;
  #session;
  #socket = null; // open, or being opened
  #isOpen = false;
  #closed = false;
  #timer = null;
  #waiters = new Map(); // track -> functions to call when it changes
  #dropped = new FinalizationRegistry((track) => this.#do(() => this.#session.detach(track)));
  #unwatchPage;

  constructor(dial, policy) {
    this.#dial = dial;
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
    const response = new Response(track, this.#session, () => this.#pump(), () => this.#next(track));
    this.#dropped.register(response, track);
    return response;
  }

  /** What an abort means: a create is cancelled; a response of others is left. */
  #stop(track) {
    if (!track.confirmed) this.#session.abandon(track);
    else if (track.request) this.#session.cancel(track);
    else this.#session.detach(track);
  }

  /** Resolves when something about the track has changed. */
  #next(track) {
    if (track.over) return Promise.resolve();
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
    const socket = (this.#socket = this.#dial());
    socket.onopen = () => {
      if (socket.protocol !== SUBPROTOCOL) {
        socket.onclose({ code: 1002, reason: `the server does not speak ${SUBPROTOCOL}` });
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
    socket.onerror = () => {}; // a close follows, which says more
    socket.onclose = ({ code, reason }) => {
      const lost = ConnectionLost.closed(code, reason);
      if (reject === null) {
        this.#lost(lost);
        this.#pump();
      } else {
        this.#drop();
        this.close();
        reject(lost);
      }
    };
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

/**
 * One response: `for await` it for its events, `text()` for the words, `result()` for the end of it.
 *
 * Leaving a loop loses nothing and stops nothing: loop again to go on behind the last event that you got. `cancel()`
 * stops it, `await using` does so at the end of the block, a handle that is garbage-collected detaches.
 */
export class Response {
  #track;
  #session;
  #pump;
  #changed;

  constructor(track, session, pump, changed) {
    this.#track = track;
    this.#session = session;
    this.#pump = pump;
    this.#changed = changed;
  }

  get id() {
    return this.#track.responseId;
  }

  get requestId() {
    return this.#track.requestId;
  }

  /** Where the reader is: keep it to resume after a reload, with `client.resume(cursor)`. */
  get cursor() {
    return this.#track.cursor;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    for (;;) {
      const event = this.#session.take(this.#track);
      if (this.#track.phase === "lost") this.#pump(); // there may be room again
      if (event !== null) return { value: event, done: false };
      if (this.#track.terminal !== null) return { value: undefined, done: true };
      if (this.#track.error !== null) throw this.#track.error;
      await this.#changed();
    }
  }

  /** Of a loop that is left early: nothing to do. */
  async return() {
    return { value: undefined, done: true };
  }

  /** The pieces of output text. Throws ResponseFailed at the end of a response that failed. */
  text() {
    const next = async () => {
      for (;;) {
        const { value, done } = await this.next();
        if (done) {
          this.#final();
          return { value: undefined, done };
        }
        if (value.type === "response.output_text.delta") return { value: value.delta, done };
      }
    };
    const words = { next, return: () => this.return(), [Symbol.asyncIterator]: () => words };
    return words;
  }

  /** Read to the end and return the final response object. Throws ResponseFailed when it failed. */
  async result() {
    while (!(await this.next()).done);
    return this.#final();
  }

  /** Stop the response and wait for its terminal event. Returns the final response object; `cancel` is the receipt. */
  async cancel() {
    this.#session.cancel(this.#track);
    this.#pump();
    while (!this.#track.over && this.#track.cancelRefusal === null) await this.#changed();
    if (this.#track.cancelRefusal !== null && !this.#track.over) throw this.#track.cancelRefusal;
    return this.#final();
  }

  /** Stop following; the response goes on at the server. Returns the cursor for resuming later. */
  detach() {
    this.#session.detach(this.#track);
    this.#pump();
    return this.cursor;
  }

  async [Symbol.asyncDispose ?? Symbol.for("asyncDispose")]() {
    this.#session.cancel(this.#track);
    this.#pump();
  }

  #final() {
    if (this.#track.error !== null) throw this.#track.error;
    return this.#track.final;
  }
}

const now = () => performance.now() / 1000;

function randomName() {
  // not randomUUID: pages that come over plain HTTP do not have it
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A page that was frozen, hidden or offline may hold a dead socket that looks open. Returns the undoing. */
function watchPage(look) {
  const { document } = globalThis;
  if (typeof globalThis.addEventListener !== "function" || !document) return () => {};
  const whenVisible = () => document.visibilityState === "visible" && look();
  globalThis.addEventListener("pageshow", look);
  globalThis.addEventListener("online", look);
  document.addEventListener("visibilitychange", whenVisible);
  return () => {
    globalThis.removeEventListener("pageshow", look);
    globalThis.removeEventListener("online", look);
    document.removeEventListener("visibilitychange", whenVisible);
  };
}
