import { RequestTooLarge, SteerFailed } from "./errors.mjs";
import { numBytes } from "./frames.mjs";

/** @import { RealtimeError } from "./errors.mjs" */
/** @import { FinalResponse, Track } from "./track.mjs" */
/** @import { CreateResponse } from "./wire.d.mts" */

/** @typedef {"held" | "sent" | "accepted" | "pending" | "applied" | "failed"} Fate */
/** @typedef {NonNullable<CreateResponse["input"]>} Input */
/**
 * What the server waits for: an item for the create that continues a response, without its content.
 *
 * @typedef {{ type: string, call_id?: string, approval_request_id?: string }} RequiredInput
 */

const OPEN_FATES = new Set(["held", "sent", "accepted"]); // a successor may come of it, without another create
const STOPPED = new Set(["cancelled", "client_disconnected", "interrupted"]); // after these inputs are given back
// A call that a client answers -> the item that answers it.
/** @type {Record<string, string>} */
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
  fate = /** @type {Fate} */ ("held");
  id = /** @type {string | null} */ (null); // an injection has none
  requiredInput = /** @type {RequiredInput[]} */ ([]);
  error = /** @type {RealtimeError | null} */ (null);
  late = false; // for a successor that we have not seen yet

  /**
   * @param {"steer" | "inject"} kind
   * @param {Track} track
   * @param {Input} input
   * @param {string} eventId
   */
  constructor(kind, track, input, eventId) {
    this.kind = kind;
    this.input = input;
    this.eventId = eventId;
    /** The response that it was sent to. */
    this.named = track;
    /** The one that it is for: that, or an automatic successor of it. */
    this.track = track;
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
export class Inputs {
  /** @type {Set<Steer | Track>} */
  changed = new Set();
  #open = /** @type {Steer[]} */ ([]); // in the order of sending
  #numGiven = 0;

  /**
   * To the newest of the response's automatic successors, as far as they are known here.
   *
   * @param {"steer" | "inject"} kind
   * @param {Track} track
   * @param {Input} input
   */
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

  /**
   * What can be sent now: to a response that this socket follows, or that is over, which the server then says.
   *
   * @param {number} maxBytes
   */
  frames(maxBytes) {
    const out = [];
    /** @param {Steer} steer */
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
    return new Map(held.map(({ track }) => [/** @type {string} */ (track.lane), track.responseId]));
  }

  /** The lanes in which a successor may start: a create of ours would wait behind it, and look like it. */
  blockedLanes() {
    return this.#open.filter(({ fate }) => OPEN_FATES.has(fate)).map(({ track }) => track.lane);
  }

  /**
   * The response of this id that waits for its successor in this lane.
   *
   * @param {string | null} responseId
   * @param {string | null} lane
   */
  parent(responseId, lane) {
    const tracks = this.#open.map(({ track }) => track);
    return tracks.find((t) => t.awaitsSuccessor && t.lane === lane && t.responseId === responseId) ?? null;
  }

  // what the server says

  /** @param {any} event */
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

  /**
   * An `error` answers it: it was malformed.
   *
   * @param {string | undefined} eventId
   * @param {RealtimeError} error
   */
  refused(eventId, error) {
    this.#fail(this.#open.find((steer) => steer.eventId === eventId && steer.fate === "sent"), error);
  }

  // what becomes of the response

  /**
   * The terminal event is here. Of injections that wait for the outputs of other calls, no event tells.
   *
   * @param {Track} track
   */
  ended(track) {
    const given = this.#open.filter((steer) => steer.track === track && steer.fate === "accepted" && !steer.late);
    if (given.length === 0 || track.final === null || !takesInput(track.final)) return;
    const stubs = requiredInput(track.final, given);
    if (stubs.length > 0) for (const steer of given) if (steer.kind === "inject") this.#hold(steer, stubs);
  }

  /**
   * The server started the successor: it has what was accepted before its parent's end.
   *
   * @param {Track} parent
   * @param {Track} successor
   */
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

  /**
   * A create of ours that answers the calls was taken, and the input that waited for it with it.
   *
   * @param {string | null} lane
   * @param {string | null} parentId
   */
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

  /** @param {RealtimeError} error */
  close(error) {
    for (const steer of [...this.#open]) this.#fail(steer, error);
  }

  /**
   * @param {"steer" | "inject"} kind
   * @param {string | undefined} responseId
   */
  #firstSent(kind, responseId) {
    /** @param {Steer} steer */
    const ours = (steer) => steer.kind === kind && steer.fate === "sent" && steer.named.responseId === responseId;
    return this.#open.find(ours);
  }

  /**
   * What is accepted after a response's end is for the successor of that.
   *
   * @param {Steer | undefined} steer
   * @param {string | null} id
   */
  #accept(steer, id) {
    if (!steer) return;
    let track = steer.named;
    while (track.terminal !== null && track.successor !== null) track = track.successor;
    const old = steer.track;
    Object.assign(steer, { id, track, late: track.terminal !== null, fate: "accepted" });
    this.changed.add(steer);
    this.#count(old, track);
  }

  /**
   * @param {string} id
   * @param {RequiredInput[]} stubs
   */
  #pending(id, stubs) {
    for (const steer of this.#open) if (steer.id === id && steer.fate === "accepted") this.#hold(steer, stubs);
  }

  /**
   * @param {Steer} steer
   * @param {RequiredInput[]} stubs
   */
  #hold(steer, stubs) {
    Object.assign(steer, { fate: "pending", requiredInput: stubs });
    this.changed.add(steer);
    this.#count(steer.track);
  }

  /**
   * @param {Steer | undefined} steer
   * @param {RealtimeError | { code?: string, message?: string } | undefined} error Ours, or the wire's.
   */
  #fail(steer, error) {
    if (!steer) return;
    const cause = error instanceof Error ? error : new SteerFailed(error ?? {}, steer.input);
    if (steer.isAnswered) steer.track.returned = cause; // nobody waits for the answer: `successor` tells it
    steer.error = cause;
    this.#end(steer, "failed");
  }

  /**
   * @param {Steer} steer
   * @param {Fate} fate
   */
  #end(steer, fate) {
    steer.fate = fate;
    this.#open.splice(this.#open.indexOf(steer), 1);
    this.changed.add(steer);
    this.#count(steer.track);
  }

  /**
   * A response waits for its successor as long as one may come of what it was given.
   *
   * @param {...Track} tracks
   */
  #count(...tracks) {
    for (const track of tracks) {
      track.numInputs = this.#open.filter((steer) => steer.track === track && OPEN_FATES.has(steer.fate)).length;
      this.changed.add(track);
    }
  }
}

/** @param {Steer} steer */
function inputFrame({ kind, eventId, named, input }) {
  const name = kind === "steer" ? "previous_response_id" : "response_id";
  return JSON.stringify({ type: `response.${kind}`, event_id: eventId, [name]: named.responseId, input });
}

/** @param {FinalResponse} final */
const takesInput = ({ status, incomplete_details }) =>
  (status === "completed" || status === "incomplete") && !STOPPED.has(incomplete_details?.reason ?? "");

/**
 * Stubs of the outputs that are still missing, as `response.steer.pending` has them.
 *
 * @param {FinalResponse} final
 * @param {Steer[]} steers
 */
function requiredInput(final, steers) {
  const items = steers.flatMap(({ input }) => (Array.isArray(input) ? /** @type {any[]} */ (input) : []));
  const answered = new Set(items.flatMap((item) => [item.call_id, item.approval_request_id]));
  const stubs = /** @type {RequiredInput[]} */ ([]);
  for (const item of /** @type {any[]} */ (final.output ?? [])) {
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
