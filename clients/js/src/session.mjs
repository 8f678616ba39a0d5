import { Cuts } from "./cuts.mjs";
import {
  AlreadyFollowed,
  ClientClosed,
  Detached,
  ProtocolError,
  RequestTooLarge,
  ServerError,
} from "./errors.mjs";
import { ask, checkNumber, numBytes, partingFrames, resumeFrame, stopFrame } from "./frames.mjs";
import { Inputs } from "./inputs.mjs";
import { Lanes, laneOfRequest } from "./lanes.mjs";
import { Liveness } from "./liveness.mjs";
import { DEFAULT_POLICY } from "./policy.mjs";
import { Track } from "./track.mjs";

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
    if (!lost.retry || this.#connectAt > this.#troubledSince + this.#policy.maxRetrySeconds) {
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
    else if (event.type === "session.draining") this.#draining = true;
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
