import { AlreadyFollowed, Detached, ProtocolError, RequestTooLarge } from "./errors.mjs";
import { ask, numBytes, partingFrames, resumeFrame, stopFrame } from "./frames.mjs";
import { Lanes, laneOfRequest } from "./lanes.mjs";
import { Patience } from "./patience.mjs";
import { Track } from "./track.mjs";

/** @import { RealtimeError, ServerError } from "./errors.mjs" */
/** @import { Inputs } from "./inputs.mjs" */
/** @import { Policy } from "./policy.mjs" */
/** @import { Cursor, Phase } from "./track.mjs" */
/** @import { CreateResponse, ResponseEvent } from "./wire.d.mts" */

/**
 * What a create may say: a request's body, and how the socket is to treat it.
 *
 * @typedef {CreateResponse & { stream_id?: string, catch_up?: "merged" | "events" }} CreateBody
 */

const MAX_GAPS = 3; // resumes in a row that brought nothing: the server's numbers are broken, not the network

/**
 * The responses of one client: what their callers want of them, and what the server's events mean for them. `Session`
 * tells it what comes and when sockets go, and sends what it has. Pure.
 */
export class Tracks {
  #policy;
  #name;
  #random;
  #lanes;
  #inputs;
  #open = /** @type {Map<number, Track>} */ (new Map()); // oldest first
  #byId = /** @type {Map<string | null, Track>} */ (new Map());
  #nextSerial = 0;
  changed = /** @type {Set<Track>} */ (new Set());
  outbox = /** @type {string[]} */ ([]); // what is to be sent on this socket, and only on this one
  maxMessageBytes = Infinity;
  patientUntil = 0; // nothing is given up before: a server that was to be waited for may not be ready yet
  dueAt = 0; // when there may be something to send

  /**
   * @param {Policy} policy
   * @param {string} name
   * @param {() => number} random
   * @param {Inputs} inputs
   */
  constructor(policy, name, random, inputs) {
    this.#policy = policy;
    this.#name = name;
    this.#random = random;
    this.#inputs = inputs;
    this.#lanes = new Lanes(name, policy.numLanes);
  }

  /** Those that are not over, oldest first. */
  get open() {
    return [...this.#open.values()];
  }

  /** The server has something to say of some of them. */
  get areAwaited() {
    return this.open.some(({ phase }) => phase === "creating" || phase === "live" || phase === "resuming");
  }

  /** @param {number} serial */
  bySerial(serial) {
    return this.#open.get(serial);
  }

  /** Some of them can't go on without a socket. */
  get needSocket() {
    return this.open.some(({ phase }) => phase !== "paused");
  }

  // what the caller wants

  /** @param {CreateBody} body */
  create(body) {
    const track = this.#newTrack("held");
    track.named = body.request_id != null;
    track.requestId = body.request_id ?? `${this.#name}-${track.serial}`;
    if (this.open.some((other) => other.requestId === track.requestId)) {
      throw new AlreadyFollowed(`a response with request_id '${track.requestId}' is open on this client`);
    }
    const fixed = { type: "response.create", event_id: `create.${track.serial}`, request_id: track.requestId };
    track.catchUp = body.catch_up ?? track.catchUp;
    track.request = JSON.stringify({ ...body, ...fixed, catch_up: track.catchUp });
    track.lane = body.stream_id ?? null;
    if (track.named && track.lane === null) this.#putInLane(track, laneOfRequest(track.requestId));
    track.previousResponseId = body.previous_response_id ?? null;
    return this.#add(track);
  }

  /** @param {Pick<Cursor, "response_id"> & Partial<Cursor>} cursor */
  resume({ response_id, starting_after = -1, epoch = null }) {
    if (this.#byId.has(response_id)) {
      throw new AlreadyFollowed(`this client follows response '${response_id}' already`);
    }
    const track = this.#newTrack("lost");
    Object.assign(track, { named: true, responseId: response_id, epoch, nextNumber: starting_after + 1 });
    this.#byId.set(response_id, track);
    return this.#add(track);
  }

  /**
   * Stop the response. The wish outlives the socket: it is repeated until the terminal event is here. `through`:
   * nothing after this event was seen or heard; without it the last `ack` says so. `stop`: "interrupt" forgets the item
   * that is being written.
   *
   * @param {Track} track
   * @param {{ through?: number | null, stop?: "cancel" | "interrupt" }} [how]
   */
  cancel(track, { through = null, stop = "cancel" } = {}) {
    if (through !== null) track.requireReceived(through);
    if (track.over || track.cancelWanted) return;
    Object.assign(track, { cancelWanted: true, cancelRefusal: null, stop, through });
    this.unpause(track);
  }

  /**
   * Something is wanted of this response that only who follows it can have.
   *
   * @param {Track} track
   */
  unpause(track) {
    if (track.phase === "paused") this.move(track, "lost");
    this.dueAt = 0;
  }

  /**
   * The caller's block is over: stop the response, and what the server starts or started after it by itself. Returns the
   * newest of these.
   *
   * @param {Track} track
   */
  leave(track) {
    while (track.successor !== null) track = track.successor;
    track.abandoned = track.awaitsSuccessor;
    this.cancel(track);
    return track;
  }

  /**
   * The user has seen or heard everything up to and with this event.
   *
   * @param {Track} track
   * @param {number} through
   */
  ack(track, through) {
    track.requireReceived(through);
    if (track.acked !== null && through <= track.acked) return;
    Object.assign(track, { acked: through, ackedSent: false });
    this.dueAt = 0;
  }

  /**
   * Nobody holds it any more, so nobody will ask for its successor.
   *
   * @param {Track} track
   */
  letGo(track) {
    track.dropped = true;
    this.detach(track);
    if (track.successor !== null && !track.successorTaken) this.letGo(track.successor);
  }

  /**
   * Let go of the response; it goes on at the server. What waits unread is forgotten, so the cursor is exact.
   *
   * @param {Track} track
   */
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
      this.move(track, "leaving");
      return;
    }
    if (track.phase === "live" || track.phase === "resuming") this.outbox.push(...partingFrames(track));
    this.fail(track, new Detached("the response was detached"));
  }

  /**
   * Nobody waits for this create any more, so nobody will know its id: cancel it, unless others may know it.
   *
   * @param {Track} track
   */
  abandon(track) {
    track.cancelWanted = !track.named;
    this.detach(track);
  }

  /**
   * The oldest unread event or null. Makes room: a paused response is resumed when half is free.
   *
   * @param {Track} track
   */
  take(track) {
    const event = track.take();
    if (track.phase === "paused" && track.length <= this.#policy.maxBufferLength / 2) this.move(track, "lost");
    return event;
  }

  // what the server says

  /**
   * @param {ResponseEvent} event
   * @param {number} length
   */
  receive(event, length) {
    let track = this.#byId.get(event.response_id);
    if (event.type === "response.created" && (!track || track.nextNumber > 0)) track = this.#confirm(event) ?? track;
    return track?.phase === "live" && this.#deliver(track, event, length); // else from before an expected `resumed`
  }

  /**
   * A response that we do not know: a successor, or what is being created in its lane.
   *
   * @param {Extract<ResponseEvent, { type: "response.created" }>} event
   */
  #confirm(event) {
    const lane = event.stream_id ?? null;
    const parent = this.#inputs.parent(event.response?.previous_response_id ?? null, lane);
    if (parent !== null) return this.#succeed(parent, event);
    const track = this.open.find((other) => other.phase === "creating" && other.lane === lane);
    if (!track) return null;
    if (this.#byId.has(event.response_id)) {
      this.fail(track, new AlreadyFollowed(`this client follows response '${event.response_id}' already`));
      return null;
    }
    Object.assign(track, { responseId: event.response_id, epoch: event.epoch ?? null, confirmed: true });
    this.#lanes.used(lane, event.response_id);
    this.#inputs.continued(lane, track.previousResponseId);
    this.move(track, "live");
    this.#byId.set(event.response_id, track);
    if (track.abandoned) this.detach(track);
    return track;
  }

  /**
   * The server went on by itself with what the parent was given.
   *
   * @param {Track} parent
   * @param {Extract<ResponseEvent, { type: "response.created" }>} event
   */
  #succeed(parent, event) {
    const track = this.#newTrack("live");
    Object.assign(track, { responseId: event.response_id, epoch: event.epoch ?? null, lane: parent.lane });
    Object.assign(track, { previousResponseId: parent.responseId, confirmed: true });
    parent.successor = track;
    this.#inputs.succeeded(parent, track);
    this.#lanes.used(track.lane, event.response_id);
    this.#byId.set(track.responseId, track);
    this.#add(track);
    if (parent.abandoned) this.leave(track);
    else if (parent.dropped) this.detach(track);
    return track;
  }

  /**
   * @param {Track} track
   * @param {ResponseEvent} event
   * @param {number} length
   */
  #deliver(track, event, length) {
    const verdict = track.accept(event, length);
    if (verdict === "gap") this.#missing(track);
    if (verdict !== "next") return false;
    this.changed.add(track);
    if (track.terminal !== null) {
      this.end(track);
    } else if (track.length > this.#policy.maxBufferLength && !track.cancelWanted && !track.awaitsSuccessor) {
      // not before an end that is near; and to leave a response that was steered would undo that
      this.outbox.push(ask("detach", track));
      track.ackedSent = false;
      this.move(track, "paused");
    }
    return true;
  }

  /** @param {Track} track */
  #missing(track) {
    if (++track.numGaps <= MAX_GAPS) return this.move(track, "lost");
    this.outbox.push(ask("detach", track));
    this.fail(track, new ProtocolError(`event ${track.nextNumber} of ${track.responseId} never comes`));
  }

  /** @param {{ response_id: string, epoch: string }} resumed */
  resumed({ response_id, epoch }) {
    const track = this.#byId.get(response_id);
    if (track) track.epoch = epoch; // also unasked: another node goes on with it in another epoch
    if (track?.phase !== "resuming") return false;
    track.confirmed = true;
    this.move(track, "live");
    return true;
  }

  /**
   * An error that answers nothing: the server sends no more of the response that it names.
   *
   * @param {string | undefined} named
   * @param {ServerError} error
   * @param {number} now
   */
  left(named, error, now) {
    const isSlow = error.code === "slow_reader";
    if (named === undefined && isSlow) {
      // an older server does not say which
      for (const live of this.open) if (live.phase === "live") this.move(live, "lost");
      return;
    }
    const track = this.#byId.get(named ?? null);
    if (track?.phase !== "live") return;
    if (isSlow) this.move(track, "lost");
    else this.refuse(track, "lost", error, now);
  }

  /**
   * @param {Track} track
   * @param {ServerError} error
   */
  cancelRefused(track, error) {
    Object.assign(track, { cancelWanted: false, cancelSent: false, cancelRefusal: error });
    this.changed.add(track);
  }

  /** @param {{ max_message_bytes?: number }} limits */
  greeted({ max_message_bytes = Infinity }) {
    this.maxMessageBytes = max_message_bytes;
  }

  /**
   * Try again later if that can help and somebody still waits; else it is the caller's.
   *
   * @param {Track} track
   * @param {Phase} phase
   * @param {ServerError} error
   * @param {number} now
   */
  refuse(track, phase, error, now) {
    track.patience.lastUntil(this.patientUntil);
    const goesOn = track.patience.wait(now, error);
    const isGone = phase === "lost" && error.code === "server_restarted"; // a create may be sent again
    if (error.retry && !isGone && goesOn && !track.abandoned) this.move(track, phase);
    else this.fail(track, error);
  }

  // frames

  /** What was decided while this socket was open: partings, and a probe. */
  parting() {
    return this.outbox.splice(0);
  }

  /**
   * What the responses need now.
   *
   * @param {number} now
   * @param {boolean} mayCreate
   */
  frames(now, mayCreate) {
    if (now < this.dueAt) return [];
    this.dueAt = Infinity;
    return this.open.flatMap((track) => this.#due(track, now, mayCreate));
  }

  /**
   * @param {Track} track
   * @param {number} now
   * @param {boolean} mayCreate
   */
  #due(track, now, mayCreate) {
    const out = [];
    const { retryAt } = track.patience;
    if ((track.phase === "held" || track.phase === "lost") && retryAt > now) {
      this.dueAt = Math.min(this.dueAt, retryAt);
    } else if (track.phase === "held" && mayCreate) {
      out.push(...this.#sendCreate(track));
    } else if (track.phase === "lost") {
      this.move(track, "resuming");
      out.push(resumeFrame(track));
    } else if (track.phase === "leaving") {
      out.push(resumeFrame(track), ...partingFrames(track)); // a detach is only for what this very socket follows
      this.end(track);
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

  /** @param {Track} track */
  #sendCreate(track) {
    const holding = this.open.filter(({ phase }) => !["held", "paused", "leaving"].includes(phase));
    const busy = new Set([...holding.map(({ lane }) => lane), ...this.#inputs.blockedLanes()]);
    if (track.lane === null) {
      const lane = this.#lanes.choose(busy, track.previousResponseId, this.#inputs.heldLanes());
      if (lane === null) return [];
      this.#putInLane(track, lane);
    } else if (busy.has(track.lane)) {
      return [];
    }
    if (numBytes(track.request) > this.maxMessageBytes) {
      this.fail(track, new RequestTooLarge(`the server takes at most ${this.maxMessageBytes} bytes`));
      return [];
    }
    this.move(track, "creating");
    return [track.request];
  }

  /**
   * For good: an ambiguous retry must be the same bytes.
   *
   * @param {Track} track
   * @param {string} lane
   */
  #putInLane(track, lane) {
    track.lane = lane;
    track.request = `{"stream_id":"${lane}",${track.request.slice(1)}`;
  }

  // small parts

  /** @param {Phase} phase */
  #newTrack(phase) {
    return new Track(this.#nextSerial, phase, new Patience(this.#policy, this.#random));
  }

  /** @param {Track} track */
  #add(track) {
    this.#open.set(track.serial, track);
    this.#nextSerial += 1;
    this.dueAt = 0;
    return track;
  }

  /**
   * @param {Track} track
   * @param {Phase} phase
   */
  move(track, phase) {
    track.move(phase);
    this.changed.add(track);
    this.dueAt = 0;
  }

  /**
   * @param {Track} track
   * @param {RealtimeError} error
   */
  fail(track, error) {
    track.error = error;
    this.end(track);
  }

  /** @param {Track} track */
  end(track) {
    this.move(track, "over");
    this.#inputs.ended(track);
    this.#open.delete(track.serial);
    if (this.#byId.get(track.responseId) === track) this.#byId.delete(track.responseId);
  }

  /** @param {Track} track */
  cut(track) {
    track.cancelSent = track.ackedSent = false;
    if (track.phase === "creating") {
      if (track.abandoned) this.end(track);
      else this.move(track, "held");
    } else if (track.phase === "live" || track.phase === "resuming") {
      this.move(track, "lost");
    }
  }
}
