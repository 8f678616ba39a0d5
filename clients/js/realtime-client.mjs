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

// HTTP statuses of a refused handshake that may pass.
const RETRY_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);
const URL_HINT = "the URL of a server looks like ws://127.0.0.1:8000/v1/responses, or wss:// behind TLS";

/**
 * The socket is gone and will not be, or could not be, opened again. `retry`: trying again later may help.
 * `status`: the HTTP status of a refused handshake, where the platform tells it; browsers do not.
 */
export class ConnectionLost extends RealtimeError {
  constructor(message, { retry, code = null, status = null }) {
    super(message);
    this.retry = retry;
    this.code = code;
    this.status = status;
  }

  /** The server refused the handshake; `body`: what it said. */
  static refused(url, status, body) {
    let why = "";
    try {
      const { code, message } = JSON.parse(body).error;
      why = `: ${code}: ${message}`;
    } catch {} // a proxy's, or another server's
    if (status === 404) why = `: there is nothing at ${url}; ${URL_HINT}`;
    const text = `the server answered the handshake with HTTP ${status}${why}`;
    return new ConnectionLost(text, { retry: RETRY_STATUS.has(status), code: 1006, status });
  }

  /** No socket was opened; `why`: what the platform says, which may be nothing. */
  static unopened(url, code, why) {
    if (/non-101/.test(why)) why = ""; // Node's own, which says no more than that
    const guess = "nobody listens there, the server is not reached, the path is wrong (/v1/responses) or the key is";
    return new ConnectionLost(`no connection to ${url}: ${why || guess}`, { retry: RECONNECT_CODES.has(code), code });
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
    this.item = event.error?.item ?? null; // of the conversation, where one stands in the way
  }

  static of(event) {
    return new (ERROR_CLASSES[event.error?.code] ?? ServerError)(event);
  }
}

/**
 * A steer or an injection comes to nothing, and `input` is given back. `code` is the server's, or `connection_lost`:
 * then the server may have applied it and started a successor that nobody follows.
 */
export class SteerFailed extends RealtimeError {
  constructor({ code = null, message = null }, input) {
    super(`${code}: ${message}`);
    Object.assign(this, { code, input });
  }
}

export class ResponseNotFound extends ServerError {}
export class EpochMismatch extends ServerError {}
export class CursorTooOld extends ServerError {}
export class CursorAhead extends ServerError {}
export class IdempotencyConflict extends ServerError {}
export class ItemNotFound extends ServerError {}
export class ConversationMovedOn extends ServerError {}
export class MissingToolOutput extends ServerError {}
export class ToolOutputAlreadyAccepted extends ServerError {}

const ERROR_CLASSES = {
  response_not_found: ResponseNotFound,
  epoch_mismatch: EpochMismatch,
  cursor_too_old: CursorTooOld,
  slow_reader: CursorTooOld,
  cursor_ahead: CursorAhead,
  idempotency_conflict: IdempotencyConflict,
  item_not_found: ItemNotFound,
  conversation_moved_on: ConversationMovedOn,
  missing_tool_output: MissingToolOutput,
  tool_output_already_accepted: ToolOutputAlreadyAccepted,
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
  heartbeatSeconds: null, // at least 1: have the server say so often that it lives; null: the operator's setting
  maxMissedHeartbeats: 3, // of silence on a socket with heartbeats, before it is given up
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

/** The number that an event begins at: a merged delta stands for several, up to its `sequence_number`. */
const firstNumber = (event) => event.first_sequence_number ?? event.sequence_number;

/** One response as this client follows it: where it is in its life, its cursor, the events that wait to be read. */
class Track {
  request = ""; // the encoded `response.create`; sent again it is the same bytes
  requestId = null;
  catchUp = "merged"; // how events that we are behind with are to come: so, or as they were ("events")
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
  stop = "cancel"; // how: or "interrupt"
  through = null; // a cancel cuts the answer behind this event
  acked = null; // the user has seen or heard everything up to this event
  ackedSent = false; // on this socket
  numInputs = 0; // given by steers and injections; the server may start a successor of them
  successor = null; // the one that it started
  successorTaken = false; // somebody holds it
  dropped = false; // nobody holds this one, so nobody will
  textEnds = [0]; // of output text that was read: code points up to the end of each piece ...
  textNumbers = [-1]; // ... and the number of its event; first that of the one before the text
  textItem = null; // the message that it was read of last
  returned = null; // why an input that the server had accepted came to nothing
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

  /** The server may start a response that goes on from this one, without being asked again. */
  get awaitsSuccessor() {
    return this.successor === null && this.numInputs > 0;
  }

  get numUnread() {
    return this.events.length - this.firstUnread;
  }

  /** Right after the last event that was taken; what waits unread counts as not processed. */
  get cursor() {
    return { response_id: this.responseId, starting_after: this.#nextUnread - 1, epoch: this.epoch };
  }

  move(phase) {
    if (!LEGAL[this.phase].includes(phase)) throw new Error(`a track can't go from ${this.phase} to ${phase}`);
    this.phase = phase;
  }

  /** Keep the event if it is the next one: "next", "duplicate" or "gap". */
  accept(event, length) {
    const number = event.sequence_number;
    const first = firstNumber(event);
    if (!Number.isInteger(number) || !Number.isInteger(first)) throw new ProtocolError(`${event.type} of a response without a sequence number`);
    if (first !== this.nextNumber) return number < this.nextNumber ? "duplicate" : "gap";
    this.nextNumber = number + 1;
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
    if (event.type === "response.output_text.delta") {
      if (this.textItem === null) this.textNumbers[0] = (event.first_sequence_number ?? event.sequence_number) - 1;
      this.textEnds.push(this.textEnds.at(-1) + [...event.delta].length);
      this.textNumbers.push(event.sequence_number);
      this.textItem = event.item_id;
    }
    return event;
  }

  /**
   * The number of the last event whose text is among the first characters that were read; the one before the text if
   * none is.
   */
  throughAt(numCharacters) {
    let [low, high] = [0, this.textEnds.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.textEnds[middle] <= numCharacters) low = middle + 1;
      else high = middle;
    }
    return this.textNumbers[low - 1];
  }

  /** Forget what waits unread, as if it had never been received. */
  discard() {
    this.nextNumber = this.#nextUnread;
    Object.assign(this, { events: [], firstUnread: 0, length: 0 });
  }

  /** The number of the event that the caller reads next. */
  get #nextUnread() {
    return this.numUnread === 0 ? this.nextNumber : firstNumber(this.events[this.firstUnread][0]);
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

  /**
   * `held`: the lanes in which the server holds input for what continues a response. That create must go there, whoever
   * the lane belongs to; any other one there has the input given back, so there it goes last.
   */
  choose(busy, previousResponseId, held) {
    for (const [lane, parent] of held) {
      if (previousResponseId !== null && parent === previousResponseId) return busy.has(lane) ? null : lane;
    }
    const idle = [...this.#last.keys()].filter((lane) => !busy.has(lane));
    const free = [...idle.filter((lane) => !held.has(lane)), ...idle.filter((lane) => held.has(lane))];
    const home = previousResponseId && free.find((lane) => this.#last.get(lane) === previousResponseId);
    return home || free[0] || null;
  }

  used(lane, responseId) {
    if (this.#last.delete(lane)) this.#last.set(lane, responseId);
  }
}

const OPEN_FATES = new Set(["held", "sent", "accepted"]); // a successor may come of it, without another create
const STOPPED = new Set(["cancelled", "client_disconnected", "interrupted"]); // after these inputs are given back
// A call that a client answers -> the item that answers it.
const ANSWERS = {
  function_call: "function_call_output",
  custom_tool_call: "custom_tool_call_output",
  computer_call: "computer_call_output",
  shell_call: "shell_call_output",
  local_shell_call: "local_shell_call_output",
  apply_patch_call: "apply_patch_call_output",
  tool_search_call: "tool_search_output",
};

/**
 * One input that was given into a running response. `fate`: "held" here, "sent", "accepted", "pending" (it waits at the
 * server for the outputs in `requiredInput`), "applied" (a successor has it) or "failed" (see `error`).
 */
export class Steer {
  fate = "held";
  id = null; // an injection has none
  requiredInput = [];
  error = null;
  late = false; // for a successor that we have not seen yet

  constructor(kind, track, input, eventId) {
    // named: the response that it was sent to; track: the one that it is for, an automatic successor of that
    Object.assign(this, { kind, input, eventId, named: track, track });
  }

  get isAnswered() {
    return this.fate !== "held" && this.fate !== "sent";
  }
}

/**
 * What callers give into responses that run, and what becomes of it. The server answers in the order of sending and
 * names the response, not the request, so who is answered is known by place. What was sent belongs to its connection:
 * with the socket its fate is unknown, and the caller is told that. The twin of the Python client's inputs.py.
 */
class Inputs {
  changed = new Set();
  #open = []; // in the order of sending
  #numGiven = 0;

  /** To the newest of the response's automatic successors, as far as they are known here. */
  give(kind, track, input) {
    while (track.successor !== null) track = track.successor;
    const steer = new Steer(kind, track, input, `${kind}.${this.#numGiven++}`);
    this.#open.push(steer);
    this.#count(track);
    return steer;
  }

  get isWaiting() {
    return this.#open.some(({ fate }) => fate === "held");
  }

  /** What can be sent now: to a response that this socket follows, or that is over, which the server then says. */
  frames(maxBytes) {
    const out = [];
    const sendable = ({ fate, named }) => fate === "held" && (named.phase === "live" || named.over);
    for (const steer of this.#open.filter(sendable)) {
      const frame = inputFrame(steer);
      if (numBytes(frame) > maxBytes) {
        this.#fail(steer, new RequestTooLarge(`the server takes at most ${maxBytes} bytes`));
      } else {
        steer.fate = "sent";
        out.push(frame);
      }
    }
    return out;
  }

  /** The lanes in which the server holds input -> the response whose calls are to be answered there. */
  heldLanes() {
    const held = this.#open.filter(({ fate }) => fate === "pending");
    return new Map(held.map(({ track }) => [track.lane, track.responseId]));
  }

  /** The lanes in which a successor may start: a create of ours would wait behind it, and look like it. */
  blockedLanes() {
    return this.#open.filter(({ fate }) => OPEN_FATES.has(fate)).map(({ track }) => track.lane);
  }

  /** The response of this id that waits for its successor in this lane. */
  parent(responseId, lane) {
    const tracks = this.#open.map(({ track }) => track);
    return tracks.find((t) => t.awaitsSuccessor && t.lane === lane && t.responseId === responseId) ?? null;
  }

  // what the server says

  news(event) {
    const ref = event.steer ?? {};
    if (event.type === "response.steer.accepted") {
      this.#accept(this.#firstSent("steer", ref.previous_response_id), ref.id);
    } else if (event.type === "response.inject.created") {
      this.#accept(this.#firstSent("inject", event.response_id), null);
    } else if (event.type === "response.steer.pending") {
      this.#pending(ref.id, event.required_input ?? []);
    } else if (event.type === "response.steer.failed") {
      const known = this.#open.find(({ id }) => id === ref.id && id != null);
      this.#fail(ref.id == null ? this.#firstSent("steer", ref.previous_response_id) : known, event.error);
    } else if (event.type === "response.inject.failed") {
      // it has no id, so what was given back is known by what it says
      const said = JSON.stringify(event.input);
      const ours = this.#open.filter(({ kind, named }) => kind === "inject" && named.responseId === event.response_id);
      this.#fail(ours.find(({ input }) => JSON.stringify(input) === said), event.error);
    }
  }

  /** An `error` answers it: it was malformed. */
  refused(eventId, error) {
    this.#fail(this.#open.find((steer) => steer.eventId === eventId && steer.fate === "sent"), error);
  }

  // what becomes of the response

  /** The terminal event is here. Of injections that wait for the outputs of other calls, no event tells. */
  ended(track) {
    const given = this.#open.filter((steer) => steer.track === track && steer.fate === "accepted" && !steer.late);
    if (given.length === 0 || track.final === null || !takesInput(track.final)) return;
    const stubs = requiredInput(track.final, given);
    if (stubs.length > 0) for (const steer of given) if (steer.kind === "inject") this.#hold(steer, stubs);
  }

  /** The server started the successor: it has what was accepted before its parent's end. */
  succeeded(parent, successor) {
    for (const steer of this.#open.filter(({ track }) => track === parent)) {
      if (steer.late) {
        Object.assign(steer, { late: false, track: successor });
        this.#count(parent, successor);
      } else if (steer.fate === "accepted") {
        this.#end(steer, "applied");
      }
    }
  }

  /** A create of ours that answers the calls was taken, and the input that waited for it with it. */
  continued(lane, parentId) {
    const waiting = this.#open.filter(({ fate, track }) => fate === "pending" && track.lane === lane);
    for (const steer of waiting) if (steer.track.responseId === parentId) this.#end(steer, "applied");
  }

  /** The socket is gone, and with it what the server had. */
  cut() {
    const message = "The connection was lost before it was clear what became of this input.";
    for (const steer of this.#open.filter(({ fate }) => fate !== "held")) {
      this.#fail(steer, { code: "connection_lost", message });
    }
  }

  close(error) {
    for (const steer of [...this.#open]) this.#fail(steer, error);
  }

  #firstSent(kind, responseId) {
    const ours = (steer) => steer.kind === kind && steer.fate === "sent" && steer.named.responseId === responseId;
    return this.#open.find(ours);
  }

  /** What is accepted after a response's end is for the successor of that. */
  #accept(steer, id) {
    if (!steer) return;
    let track = steer.named;
    while (track.terminal !== null && track.successor !== null) track = track.successor;
    const old = steer.track;
    Object.assign(steer, { id, track, late: track.terminal !== null, fate: "accepted" });
    this.changed.add(steer);
    this.#count(old, track);
  }

  #pending(id, stubs) {
    for (const steer of this.#open) if (steer.id === id && steer.fate === "accepted") this.#hold(steer, stubs);
  }

  #hold(steer, stubs) {
    Object.assign(steer, { fate: "pending", requiredInput: stubs });
    this.changed.add(steer);
    this.#count(steer.track);
  }

  /** `error`: ours, or the wire's. */
  #fail(steer, error) {
    if (!steer) return;
    const cause = error instanceof Error ? error : new SteerFailed(error ?? {}, steer.input);
    if (steer.isAnswered) steer.track.returned = cause; // nobody waits for the answer: `successor` tells it
    steer.error = cause;
    this.#end(steer, "failed");
  }

  #end(steer, fate) {
    steer.fate = fate;
    this.#open.splice(this.#open.indexOf(steer), 1);
    this.changed.add(steer);
    this.#count(steer.track);
  }

  /** A response waits for its successor as long as one may come of what it was given. */
  #count(...tracks) {
    for (const track of tracks) {
      track.numInputs = this.#open.filter((steer) => steer.track === track && OPEN_FATES.has(steer.fate)).length;
      this.changed.add(track);
    }
  }
}

const numBytes = (text) => new TextEncoder().encode(text).length;

function inputFrame({ kind, eventId, named, input }) {
  const name = kind === "steer" ? "previous_response_id" : "response_id";
  return JSON.stringify({ type: `response.${kind}`, event_id: eventId, [name]: named.responseId, input });
}

const takesInput = ({ status, incomplete_details }) =>
  (status === "completed" || status === "incomplete") && !STOPPED.has(incomplete_details?.reason);

/** Stubs of the outputs that are still missing, as `response.steer.pending` has them. */
function requiredInput(final, steers) {
  const items = steers.flatMap(({ input }) => (Array.isArray(input) ? input : []));
  const answered = new Set(items.flatMap((item) => [item.call_id, item.approval_request_id]));
  const stubs = [];
  for (const item of final.output ?? []) {
    const callId = item.call_id ?? item.id;
    if (item.status === "incomplete" || item.execution === "server" || answered.has(callId)) continue;
    if (item.type === "mcp_approval_request") {
      stubs.push({ type: "mcp_approval_response", approval_request_id: callId });
    } else if (item.type in ANSWERS) {
      stubs.push({ type: ANSWERS[item.type], call_id: callId });
    }
  }
  return stubs;
}

const CUTTABLE = new Set(["live", "resuming", "leaving", "over"]);

/**
 * Truncations without an answer: sent again on each socket until they have one, since a second one changes nothing. The
 * twin of the Python client's cuts.py.
 */
class Cuts {
  changed = new Set();
  #open = []; // in the order of asking
  #numAsked = 0;

  ask(track, members) {
    const eventId = `truncate.${this.#numAsked++}`;
    const cut = { track, members, eventId, isSent: false, final: null, error: null };
    this.#open.push(cut);
    return cut;
  }

  get isWaiting() {
    return this.#open.length > 0;
  }

  /** What can be sent now: to a response that this client follows, or that is over. */
  frames() {
    const sendable = this.#open.filter(({ isSent, track }) => !isSent && CUTTABLE.has(track.phase));
    for (const cut of sendable) cut.isSent = true;
    const frame = ({ eventId, track, members }) => ({
      type: "response.truncate",
      event_id: eventId,
      response_id: track.responseId,
      ...members,
    });
    return sendable.map((cut) => JSON.stringify(frame(cut)));
  }

  /** `response.truncated`. One that answers a cancel is nobody's here. */
  answered(event) {
    for (const cut of this.#open.filter(({ eventId }) => eventId === event.event_id)) {
      cut.final = cut.track.final = finalResponse(event.response ?? {});
      this.#end(cut);
    }
  }

  refused(eventId, error) {
    for (const cut of this.#open.filter((one) => one.eventId === eventId)) this.#end(Object.assign(cut, { error }));
  }

  disconnected() {
    for (const cut of this.#open) cut.isSent = false;
  }

  close(error) {
    for (const cut of [...this.#open]) this.#end(Object.assign(cut, { error }));
  }

  #end(cut) {
    this.#open.splice(this.#open.indexOf(cut), 1);
    this.changed.add(cut);
  }
}

/** What is told and heard of the connection: `session.update`s, sent again until answered, and promised heartbeats. */
class Liveness {
  changed = new Set();
  heartbeat = null; // the newest
  #wantedSeconds;
  #maxMissed;
  #seconds = 0; // between two heartbeats, as the server has confirmed; 0: none
  #updates = []; // without an answer, in the order of sending
  #own = null; // the one that nobody asked for: each socket has another
  #numUpdates = 0;

  constructor({ heartbeatSeconds, maxMissedHeartbeats }) {
    if (heartbeatSeconds !== null && heartbeatSeconds > 0 && heartbeatSeconds < 1) {
      throw new RangeError("heartbeatSeconds must be 0, which is never, or at least 1");
    }
    if (maxMissedHeartbeats < 1) throw new RangeError("maxMissedHeartbeats must be at least 1");
    this.#wantedSeconds = heartbeatSeconds;
    this.#maxMissed = maxMissedHeartbeats;
  }

  update(members) {
    const update = { members, eventId: `update.${this.#numUpdates++}`, isSent: false, state: null, error: null };
    this.#updates.push(update);
    return update;
  }

  get isWaiting() {
    return this.#updates.length > 0;
  }

  connected() {
    if (this.#wantedSeconds === null) return;
    this.#own = this.update({ heartbeat_seconds: this.#wantedSeconds });
    this.#updates.unshift(this.#updates.pop()); // what a caller wants is newer
  }

  disconnected() {
    this.#seconds = 0;
    this.#updates = this.#updates.filter((update) => update !== this.#own);
    for (const update of this.#updates) update.isSent = false;
  }

  frames() {
    const unsent = this.#updates.filter(({ isSent }) => !isSent);
    for (const update of unsent) update.isSent = true;
    const frame = ({ eventId, members }) => ({ type: "session.update", event_id: eventId, ...members });
    return unsent.map((update) => JSON.stringify(frame(update)));
  }

  /** `session.updated` answers the oldest. */
  updated(state) {
    this.#seconds = state.heartbeat_seconds ?? 0;
    const update = this.#updates.find(({ isSent }) => isSent);
    if (!update) return;
    this.#wantedSeconds = update.members.heartbeat_seconds ?? this.#wantedSeconds;
    this.#end(update, { state });
  }

  refused(eventId, error) {
    const update = this.#updates.find((other) => other.eventId === eventId);
    if (update) this.#end(update, { error });
  }

  close(error) {
    for (const update of [...this.#updates]) this.#end(update, { error });
  }

  /** When a silence since then has become too long. */
  deadAt(heardAt) {
    return this.#seconds > 0 ? heardAt + this.#maxMissed * this.#seconds : Infinity;
  }

  #end(update, answer) {
    Object.assign(update, answer);
    this.#updates.splice(this.#updates.indexOf(update), 1);
    this.changed.add(update);
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
    catch_up: track.catchUp,
    ...(track.epoch === null ? {} : { epoch: track.epoch }),
  });

/** An `ack` holds for the socket that it was sent on, so a cancel says for itself where the answer is cut. */
function stopFrame(track) {
  const through = track.through ?? track.acked;
  return ask(track.stop, track, through !== null && track.stop === "cancel" ? { through } : {});
}

function checkNumber(track, number) {
  if (Number.isInteger(number) && number >= -1 && number < track.nextNumber) return;
  throw new RangeError(`event ${number} of response '${track.responseId}' has not come`);
}

const partingFrames = (track) => [
  ...(track.cancelWanted && !track.cancelSent ? [stopFrame(track)] : []),
  ask("detach", track),
];

const MAX_GAPS = 3; // resumes in a row that brought nothing: the server's numbers are broken, not the network
const MAX_RESUME_AFTER_SECONDS = 3600;
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
  #inputs = new Inputs();
  #cuts = new Cuts();
  #liveness;
  #tracks = new Map(); // the open ones, oldest first
  #byId = new Map();
  #changed = new Set();
  #outbox = [];
  #nextSerial = 0;
  #connected = false;
  #closed = null; // why nothing is sent any more
  #draining = false;
  #patience; // seconds of trouble before it is given up
  #maxMessageBytes = Infinity;
  #connectAt = 0;
  #attempts = 0;
  #troubledSince = null;
  #dueAt = 0;
  #heardAt = 0;
  #probedAt = null;

  constructor(policy, name, random = Math.random) {
    this.#policy = { ...DEFAULT_POLICY, ...policy };
    this.#patience = this.#policy.maxRetrySeconds;
    this.#name = name;
    this.#random = random;
    this.#lanes = new Lanes(name, this.#policy.numLanes);
    this.#liveness = new Liveness(this.#policy);
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
    track.catchUp = body.catch_up ?? track.catchUp;
    track.request = JSON.stringify({ ...body, ...fixed, catch_up: track.catchUp });
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

  /**
   * Stop the response. The wish outlives the socket: it is repeated until the terminal event is here. `through`:
   * nothing after this event was seen or heard; without it the last `ack` says so. `stop`: "interrupt" forgets the item
   * that is being written.
   */
  cancel(track, { through = null, stop = "cancel" } = {}) {
    if (through !== null) checkNumber(track, through);
    if (track.over || track.cancelWanted) return;
    Object.assign(track, { cancelWanted: true, cancelRefusal: null, stop, through });
    if (track.phase === "paused") this.#move(track, "lost");
    this.#dueAt = 0;
  }

  /** The caller's block is over: stop the response, and what the server starts or started after it by itself. */
  leave(track) {
    while (track.successor !== null) track = track.successor;
    track.abandoned = track.awaitsSuccessor;
    this.cancel(track);
  }

  /** The user has seen or heard everything up to and with this event. */
  ack(track, through) {
    checkNumber(track, through);
    if (track.acked !== null && through <= track.acked) return;
    Object.assign(track, { acked: through, ackedSent: false });
    this.#dueAt = 0;
  }

  /** Cut the answer of a response that runs or is over. `members`: where. */
  truncate(track, members) {
    if (members.through != null) checkNumber(track, members.through);
    if (track.phase === "paused") this.#move(track, "lost"); // the end that comes of it is wanted now
    this.#dueAt = 0;
    const cut = this.#cuts.ask(track, members);
    if (this.#closed !== null) this.#cuts.close(this.#closed);
    return cut;
  }

  /** Steer a response, or inject outputs of its calls. */
  give(kind, track, input) {
    const steer = this.#inputs.give(kind, track, input);
    if (track.phase === "paused") this.#move(track, "lost"); // the server takes it only from who follows the response
    if (this.#closed !== null) this.#inputs.close(this.#closed);
    return steer;
  }

  /** Change what holds for the connection. */
  update(members) {
    return this.#liveness.update(members);
  }

  /** The newest `session.heartbeat`. */
  get heartbeat() {
    return this.#liveness.heartbeat;
  }

  /** The response that the server started after this one by itself, for somebody who will hold it. */
  takeSuccessor(track) {
    track.successorTaken = track.successor !== null;
    return track.successor;
  }

  /** Nobody holds it any more, so nobody will ask for its successor. */
  letGo(track) {
    track.dropped = true;
    this.detach(track);
    if (track.successor !== null && !track.successorTaken) this.letGo(track.successor);
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

  /** Give up everything that is open, and what is asked of it from now on. */
  close(error = new ClientClosed("the client was closed")) {
    this.#closed = error;
    for (const track of [...this.#tracks.values()]) this.#fail(track, error);
    this.#inputs.close(error);
    this.#cuts.close(error);
    this.#liveness.close(error);
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
    this.#liveness.connected();
  }

  disconnected(lost, now) {
    this.#connected = false;
    this.#outbox = [];
    this.#inputs.cut();
    this.#cuts.disconnected();
    this.#liveness.disconnected();
    for (const track of [...this.#tracks.values()]) this.#cut(track);
    if (!this.#needsSocket()) return this.#settle();
    this.#troubledSince ??= now;
    this.#connectAt = now + this.#delay(this.#attempts++, null);
    if (!lost.retry || this.#connectAt > this.#troubledSince + this.#patience) {
      this.#settle();
      for (const track of [...this.#tracks.values()]) if (track.phase !== "paused") this.#fail(track, lost);
      this.#inputs.close(lost);
      this.#cuts.close(lost);
      this.#liveness.close(lost);
    }
  }

  /** One message. Throws ProtocolError when it can't be what a server of this protocol sends. */
  receive(data, now) {
    this.#heardAt = now;
    this.#probedAt = null;
    const event = parse(data);
    if (/^response\.(steer|inject)\./.test(event.type)) this.#newsOfInput(event);
    else if ("response_id" in event) this.#responseEvent(event, data.length);
    else if (event.type === "session.created") this.#greeted(event.session?.limits ?? {});
    else if (event.type === "session.heartbeat") this.#liveness.heartbeat = event.heartbeat ?? null;
    else if (event.type === "session.updated") this.#liveness.updated(event.session ?? {});
    else if (event.type === "session.draining") this.#drained(event.resume_after_seconds);
    else if (event.type === "response.resumed") this.#resumed(event.resumed);
    else if (event.type === "response.truncated") this.#cuts.answered(event);
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
    const due = Math.min(this.#dueAt, this.#liveness.deadAt(this.#heardAt));
    const at = Math.min(due, this.#probedAt === null ? idleAt : this.#probedAt + probeSeconds);
    return at === Infinity ? null : at;
  }

  /** The socket did not answer in time, or promised heartbeats do not come: report it as disconnected. */
  silent(now) {
    const answerAt = this.#probedAt === null ? Infinity : this.#probedAt + this.#policy.probeSeconds;
    return this.#connected && now >= Math.min(answerAt, this.#liveness.deadAt(this.#heardAt));
  }

  frames(now) {
    if (!this.#connected) return [];
    const idle = this.#tracks.size > 0 && now >= this.#heardAt + this.#policy.idleSeconds;
    if (idle && this.#probedAt === null) this.#probe(now);
    const out = [...this.#outbox, ...this.#cuts.frames()]; // before creates, which may continue what is to be cut
    this.#outbox = [];
    if (now >= this.#dueAt) {
      this.#dueAt = Infinity;
      for (const track of [...this.#tracks.values()]) out.push(...this.#due(track, now));
    }
    out.push(...this.#cuts.frames(), ...this.#liveness.frames(), ...this.#inputs.frames(this.#maxMessageBytes));
    return out;
  }

  changed() {
    const all = [this.#changed, this.#inputs.changed, this.#liveness.changed, this.#cuts.changed];
    const changed = new Set(all.flatMap((some) => [...some]));
    for (const drained of all) drained.clear();
    return changed;
  }

  // events

  #responseEvent(event, length) {
    let track = this.#byId.get(event.response_id);
    if (event.type === "response.created" && (!track || track.nextNumber > 0)) track = this.#confirm(event) ?? track;
    if (track?.phase === "live") this.#deliver(track, event, length); // else from before an expected `resumed`
  }

  /** A response that we do not know: a successor, or what is being created in its lane. */
  #confirm(event) {
    const lane = event.stream_id ?? null;
    const parent = this.#inputs.parent(event.response?.previous_response_id ?? null, lane);
    if (parent !== null) return this.#succeed(parent, event);
    const track = [...this.#tracks.values()].find((other) => other.phase === "creating" && other.lane === lane);
    if (!track) return null;
    if (this.#byId.has(event.response_id)) {
      this.#fail(track, new AlreadyFollowed(`this client follows response '${event.response_id}' already`));
      return null;
    }
    Object.assign(track, { responseId: event.response_id, epoch: event.epoch ?? null, confirmed: true });
    this.#lanes.used(lane, event.response_id);
    this.#inputs.continued(lane, track.previousResponseId);
    this.#move(track, "live");
    this.#byId.set(event.response_id, track);
    if (track.abandoned) this.detach(track);
    return track;
  }

  /** The server went on by itself with what the parent was given. */
  #succeed(parent, event) {
    const track = new Track(this.#nextSerial, "live");
    Object.assign(track, { responseId: event.response_id, epoch: event.epoch ?? null, lane: parent.lane });
    Object.assign(track, { previousResponseId: parent.responseId, confirmed: true });
    parent.successor = track;
    this.#inputs.succeeded(parent, track);
    this.#lanes.used(track.lane, track.responseId);
    this.#byId.set(track.responseId, track);
    this.#open(track);
    if (parent.abandoned) this.leave(track);
    else if (parent.dropped) this.detach(track);
    return track;
  }

  #newsOfInput(event) {
    this.#inputs.news(event);
    this.#dueAt = 0; // a lane may be free now
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
      } else if (track.length > this.#policy.maxBufferLength && !track.cancelWanted && !track.awaitsSuccessor) {
        // not before an end that is near; and to leave a response that was steered would undo that
        this.#outbox.push(ask("detach", track));
        track.ackedSent = false;
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
    } else if (asked === "steer" || asked === "inject") {
      this.#inputs.refused(event.event_id, error);
    } else if (asked === "truncate") {
      this.#cuts.refused(event.event_id, error);
    } else if (asked === "update") {
      this.#liveness.refused(event.event_id, error);
    } else if ((asked === "cancel" || asked === "interrupt") && track && error.code !== "response_already_completed") {
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
    const tooLate = track.retryAt > track.troubledSince + this.#patience;
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
      out.push(stopFrame(track));
    } else if (track.acked !== null && !track.ackedSent && track.phase === "live") {
      track.ackedSent = true;
      out.push(ask("ack", track, { through: track.acked }));
    }
    return out;
  }

  #sendCreate(track) {
    const holding = [...this.#tracks.values()].filter(({ phase }) => !["held", "paused", "leaving"].includes(phase));
    const busy = new Set([...holding.map(({ lane }) => lane), ...this.#inputs.blockedLanes()]);
    if (track.lane === null) {
      const lane = this.#lanes.choose(busy, track.previousResponseId, this.#inputs.heldLanes());
      if (lane === null) return [];
      this.#putInLane(track, lane);
    } else if (busy.has(track.lane)) {
      return [];
    }
    if (numBytes(track.request) > this.#maxMessageBytes) {
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
    this.#inputs.ended(track);
    this.#tracks.delete(track.serial);
    if (this.#byId.get(track.responseId) === track) this.#byId.delete(track.responseId);
  }

  #cut(track) {
    track.cancelSent = track.ackedSent = false;
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

  /** The server goes down. A start took so long: the next one may take longer. */
  #drained(resumeAfterSeconds) {
    this.#draining = true;
    const seconds = Number.isFinite(resumeAfterSeconds) ? Math.min(resumeAfterSeconds, MAX_RESUME_AFTER_SECONDS) : 0;
    this.#patience = Math.max(this.#policy.maxRetrySeconds, 2 * seconds);
  }

  #needsSocket() {
    if (this.#inputs.isWaiting || this.#liveness.isWaiting || this.#cuts.isWaiting) return true;
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
  #next;
  #handle;
  #successor = null;

  constructor(track, session, pump, next, handle) {
    this.#track = track;
    this.#session = session;
    this.#pump = pump;
    this.#next = next;
    this.#handle = handle;
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
      await this.#next(this.#track);
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

  /**
   * Stop the response and wait for its terminal event. Returns the final response object; `cancel` is the receipt.
   * `through`: the number of the last event that the user saw or heard (-1: none). What is kept of the answer, and what
   * the next turn knows of it, ends there. Without it the last `ack` says so, and without that nothing is cut. An answer
   * that is finished, as most are long before they have been spoken, is cut all the same.
   */
  async cancel({ through = null } = {}) {
    this.#session.cancel(this.#track, { through });
    const final = await this.#stopped();
    const heard = through ?? this.#track.acked;
    if (heard === null || (final.truncated && final.truncated.through <= heard)) return final;
    return this.truncate({ through: heard });
  }

  /**
   * Cut the answer for good where the user stopped listening, finished or not; one that runs is cancelled first.
   * `through`: the number of the last event that the user saw or heard (-1: none). Or `numCharacters`: so many code
   * points of a message, `itemId`, by default the one whose text was read last; 0 before any text was read: after the
   * event that you read last. Returns the response as it is kept from now on.
   */
  async truncate({ through = null, numCharacters = null, itemId = this.#track.textItem, contentIndex = 0 } = {}) {
    if (through === null && itemId === null && numCharacters === 0) through = this.cursor.starting_after; // no text was read
    const characters = { item_id: itemId, content_index: contentIndex, num_characters: numCharacters };
    const cut = this.#session.truncate(this.#track, through === null ? characters : { through });
    this.#pump();
    while (cut.final === null && cut.error === null) await this.#next(cut);
    if (cut.error !== null) throw cut.error;
    return cut.final;
  }

  /**
   * Characters (code points) of output text, as they were read here, to the number of the last event that they hold
   * whole: for `ack`, `cancel` and `truncate`, from a speaker that counts characters.
   */
  throughAt(numCharacters) {
    return this.#track.throughAt(numCharacters);
  }

  /** Stop the response, forget the item that is being written, and wait for the terminal event. */
  async interrupt() {
    this.#session.cancel(this.#track, { stop: "interrupt" });
    return this.#stopped();
  }

  /**
   * The user has seen or heard everything up to this event (default: the one that you read last). A later `cancel` cuts
   * the answer there. Holds across reconnects.
   */
  ack(through = this.cursor.starting_after) {
    this.#session.ack(this.#track, through);
    this.#pump();
  }

  /**
   * Give user messages, or outputs of its calls, to the running response; resolves when the server has taken it. The
   * response is cut at the next safe point and a `successor` goes on with the input. Rejects with SteerFailed.
   */
  steer(input) {
    return this.#give("steer", input);
  }

  /** Give outputs of its calls to the response without cutting it. When all are there, a `successor` goes on. */
  inject(input) {
    return this.#give("inject", input);
  }

  /**
   * The response that the server starts after this one by itself, because of `steer` or `inject`. null: it ended, and
   * nothing follows unless you create it. Rejects with SteerFailed when an input that was accepted was given back.
   */
  async successor() {
    const track = this.#track;
    while (track.successor === null && (!track.over || track.awaitsSuccessor)) await this.#next(track);
    if (track.successor === null) {
      if (track.returned !== null) throw track.returned;
      if (track.error !== null && !(track.error instanceof ResponseFailed)) throw track.error;
      return null;
    }
    this.#successor ??= this.#handle(this.#session.takeSuccessor(track));
    return this.#successor;
  }

  /** The events of this response, then those of its successor, and so on; `response_id` says whose they are. */
  chain() {
    let current = this;
    const next = async () => {
      for (;;) {
        const { value, done } = await current.next();
        if (!done) return { value, done };
        const successor = await current.successor();
        if (successor === null) return { value: undefined, done: true };
        current = successor;
      }
    };
    const events = { next, return: () => this.return(), [Symbol.asyncIterator]: () => events };
    return events;
  }

  /** Stop following; the response goes on at the server. Returns the cursor for resuming later. */
  detach() {
    this.#session.detach(this.#track);
    this.#pump();
    return this.cursor;
  }

  async [Symbol.asyncDispose ?? Symbol.for("asyncDispose")]() {
    this.#session.leave(this.#track); // its successor too
    this.#pump();
  }

  async #stopped() {
    this.#pump();
    while (!this.#track.over && this.#track.cancelRefusal === null) await this.#next(this.#track);
    if (this.#track.cancelRefusal !== null && !this.#track.over) throw this.#track.cancelRefusal;
    return this.#final();
  }

  async #give(kind, input) {
    const steer = this.#session.give(kind, this.#track, input);
    this.#pump();
    while (!steer.isAnswered) await this.#next(steer);
    if (steer.error !== null) throw steer.error;
    return steer;
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
