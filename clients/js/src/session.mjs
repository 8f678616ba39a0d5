import { Cuts } from "./cuts.mjs";
import { ClientClosed, ProtocolError, ServerError } from "./errors.mjs";
import { PROBE, parse } from "./frames.mjs";
import { Inputs } from "./inputs.mjs";
import { Liveness } from "./liveness.mjs";
import { Patience } from "./patience.mjs";
import { policyOf } from "./policy.mjs";
import { Tracks } from "./tracks.mjs";

/** @import { Cut, CutMembers } from "./cuts.mjs" */
/** @import { ConnectionState } from "./client.mjs" */
/** @import { ConnectionLost, ErrorEvent, RealtimeError } from "./errors.mjs" */
/** @import { Input, Steer } from "./inputs.mjs" */
/** @import { Update, UpdateMembers } from "./liveness.mjs" */
/** @import { Policy } from "./policy.mjs" */
/** @import { Cursor, Track } from "./track.mjs" */
/** @import { CreateBody } from "./tracks.mjs" */

const MAX_DOUBLINGS = 2; // of the time that an attempt may take
const MAX_AWAY_SECONDS = 3600; // a server that needs longer is not waited for
const GOING_DOWN = new Set(["server_draining", "websocket_connection_limit_reached"]);

/**
 * What a client does, without any I/O: the state of all its responses, whatever happens to the socket.
 *
 * The shell reports (`connecting`, `connected`, `disconnected`, `receive`), passes on what the caller wants and then
 * drains: `frames` to send, `changed` tracks to wake, `connectAt`, `dialUntil` or `dueAt` for when to come back, `silent`
 * for a socket that is dead. Frames are derived from where each track is, so nothing is lost with a socket. `now` is in seconds.
 */
export class Session {
  #policy;
  #inputs = new Inputs();
  #cuts = new Cuts();
  #tracks;
  #liveness;
  #patience; // with the connection
  #connected = false;
  #wasOpen = false;
  #closed = /** @type {RealtimeError | null} */ (null); // why nothing is sent any more
  #draining = false;
  #awaySeconds = 0; // how long the server, which goes down, says that it takes to come back
  #connectAt = 0;
  #dialUntil = Infinity;
  #overdue = 0; // attempts in a row that took too long
  #heardAt = 0;
  #probedAt = /** @type {number | null} */ (null);

  /**
   * @param {Partial<Policy>} policy
   * @param {string} name Unique among clients: it keeps lanes and request ids apart.
   * @param {() => number} [random]
   */
  constructor(policy, name, random = Math.random) {
    this.#policy = policyOf(policy);
    this.#tracks = new Tracks(this.#policy, name, random, this.#inputs);
    this.#liveness = new Liveness(this.#policy);
    this.#patience = new Patience(this.#policy, random);
  }

  // what the caller wants: see Tracks

  /** @param {CreateBody} body */
  create(body) {
    return this.#tracks.create(body);
  }

  /** @param {Pick<Cursor, "response_id"> & Partial<Cursor>} cursor */
  resume(cursor) {
    return this.#tracks.resume(cursor);
  }

  /**
   * @param {Track} track
   * @param {{ through?: number | null, stop?: "cancel" | "interrupt" }} [how]
   */
  cancel(track, how) {
    this.#tracks.cancel(track, how);
  }

  /**
   * The caller's block is over. Of an answer that was complete before it was read, what was heard stays, as of one that
   * runs.
   *
   * @param {Track} track
   */
  leave(track) {
    const newest = this.#tracks.leave(track);
    if (newest.terminal === null || newest.numUnread === 0 || newest.acked === null) return;
    this.truncate(newest, { through: newest.acked });
  }

  /**
   * @param {Track} track
   * @param {number} through
   */
  ack(track, through) {
    this.#tracks.ack(track, through);
  }

  /** @param {Track} track */
  letGo(track) {
    this.#tracks.letGo(track);
  }

  /** @param {Track} track */
  detach(track) {
    this.#tracks.detach(track);
  }

  /** @param {Track} track */
  abandon(track) {
    this.#tracks.abandon(track);
  }

  /** @param {Track} track */
  take(track) {
    return this.#tracks.take(track);
  }

  /**
   * Cut the answer of a response that runs or is over. `members`: where.
   *
   * @param {Track} track
   * @param {CutMembers} members
   */
  truncate(track, members) {
    if (members.through != null) track.requireReceived(members.through);
    this.#tracks.unpause(track); // the end that comes of it is wanted now
    this.#tracks.dueAt = 0;
    const cut = this.#cuts.ask(track, members);
    if (this.#closed !== null) this.#cuts.close(this.#closed);
    return cut;
  }

  /**
   * Steer a response, or inject outputs of its calls.
   *
   * @param {"steer" | "inject"} kind
   * @param {Track} track
   * @param {Input} input
   */
  give(kind, track, input) {
    const steer = this.#inputs.give(kind, track, input);
    this.#tracks.unpause(track); // the server takes it only from who follows the response
    if (this.#closed !== null) this.#inputs.close(this.#closed);
    return steer;
  }

  /**
   * Change what holds for the connection.
   *
   * @param {UpdateMembers} members
   */
  update(members) {
    return this.#liveness.update(members);
  }

  /** The newest `session.heartbeat`. */
  get heartbeat() {
    return this.#liveness.heartbeat;
  }

  /**
   * The response that the server started after this one by itself, for somebody who will hold it.
   *
   * @param {Track} track
   */
  takeSuccessor(track) {
    track.successorTaken = track.successor !== null;
    return track.successor;
  }

  /**
   * Give up everything that is open, and what is asked of it from now on.
   *
   * @param {RealtimeError} [error]
   */
  close(error = new ClientClosed("the client was closed")) {
    this.#closed = error;
    for (const track of this.#tracks.open) this.#tracks.fail(track, error);
    this.#giveUp(error);
  }

  /**
   * Something happened that may have cost the socket, or brought the network back: find out at once.
   *
   * @param {number} now
   */
  check(now) {
    if (!this.#connected) this.#settle();
    this.#connectAt = Math.min(this.#connectAt, now);
    if (this.#connected && this.#probedAt === null) this.#probe(now);
  }

  // what the socket says

  /**
   * An attempt to open a socket begins; it is to be given up at `dialUntil`. After one that took too long it has twice the
   * time: whoever is slow gets through at last, this page or the server.
   *
   * @param {number} now
   */
  connecting(now) {
    this.#dialUntil = now + this.#policy.connectTimeoutSeconds * 2 ** Math.min(this.#overdue, MAX_DOUBLINGS);
  }

  get dialUntil() {
    return this.#dialUntil;
  }

  /** @param {number} now */
  connected(now) {
    this.#connected = this.#wasOpen = true;
    this.#draining = false;
    this.#awaySeconds = 0;
    this.#dialUntil = Infinity;
    this.#overdue = 0;
    this.#tracks.dueAt = 0;
    this.#heardAt = now;
    this.#probedAt = null;
    this.#liveness.connected();
  }

  /**
   * @param {ConnectionLost | ProtocolError} lost
   * @param {number} now
   */
  disconnected(lost, now) {
    this.#connected = false;
    if (now >= this.#dialUntil) this.#overdue++;
    this.#dialUntil = Infinity;
    this.#tracks.outbox = [];
    this.#inputs.cut();
    this.#cuts.disconnected();
    this.#liveness.disconnected();
    for (const track of this.#tracks.open) this.#tracks.cut(track);
    if (!this.#needsSocket()) return this.#settle();
    const { retry, retryAfter } = "retry" in lost ? lost : { retry: false, retryAfter: null };
    if (this.#awaySeconds > 0) {
      this.#tracks.patientUntil = now + 2 * this.#awaySeconds;
      this.#patience.lastUntil(this.#tracks.patientUntil);
      this.#awaySeconds = 0;
    }
    const goesOn = this.#patience.wait(now, { retryAfter });
    this.#connectAt = this.#patience.retryAt;
    if (retry && goesOn) return;
    this.#settle();
    for (const track of this.#tracks.open) if (track.phase !== "paused") this.#tracks.fail(track, lost);
    this.#giveUp(lost);
  }

  /**
   * One message. Throws ProtocolError when it can't be what a server of this protocol sends.
   *
   * @param {string} data
   * @param {number} now
   */
  receive(data, now) {
    this.#heardAt = now;
    this.#probedAt = null;
    const event = parse(data);
    if (/^response\.(steer|inject)\./.test(event.type)) this.#newsOfInput(event);
    else if ("response_id" in event) this.#progress(this.#tracks.receive(event, data.length));
    else if (event.type === "session.created") this.#tracks.greeted(event.session?.limits ?? {});
    else if (event.type === "session.heartbeat") this.#liveness.heartbeat = event.heartbeat ?? null;
    else if (event.type === "session.updated") this.#liveness.updated(event.session ?? {});
    else if (event.type === "session.draining") this.#goingDown(event);
    else if (event.type === "response.resumed") this.#progress(this.#tracks.resumed(event.resumed));
    else if (event.type === "response.truncated") this.#cuts.answered(event);
    else if (event.type === "error") this.#refused(event, now);
    // any other is news of a later version: ignored
  }

  // what is to be done about it

  /** @returns {ConnectionState} */
  get state() {
    if (this.#closed !== null) return "closed";
    if (this.#connected) return "open";
    if (this.connectAt === null && this.#dialUntil === Infinity) return "idle";
    return this.#wasOpen ? "reconnecting" : "connecting";
  }

  get connectAt() {
    return !this.#connected && this.#needsSocket() ? this.#connectAt : null;
  }

  get dueAt() {
    if (!this.#connected) return null;
    const { idleSeconds, probeSeconds } = this.#policy;
    const idleAt = this.#tracks.areAwaited ? this.#heardAt + idleSeconds : Infinity;
    const due = Math.min(this.#tracks.dueAt, this.#liveness.deadAt(this.#heardAt));
    const at = Math.min(due, this.#probedAt === null ? idleAt : this.#probedAt + probeSeconds);
    return at === Infinity ? null : at;
  }

  /**
   * The socket did not answer in time, or promised heartbeats do not come: report it as disconnected.
   *
   * @param {number} now
   */
  silent(now) {
    const answerAt = this.#probedAt === null ? Infinity : this.#probedAt + this.#policy.probeSeconds;
    return this.#connected && now >= Math.min(answerAt, this.#liveness.deadAt(this.#heardAt));
  }

  /**
   * @param {number} now
   * @returns {string[]}
   */
  frames(now) {
    if (!this.#connected) return [];
    const idle = this.#tracks.areAwaited && now >= this.#heardAt + this.#policy.idleSeconds;
    if (idle && this.#probedAt === null) this.#probe(now);
    return [
      ...this.#tracks.parting(),
      ...this.#cuts.frames(), // before creates, which may continue what is to be cut
      ...this.#tracks.frames(now, !this.#draining),
      ...this.#cuts.frames(), // of what is resumed just now
      ...this.#liveness.frames(),
      ...this.#inputs.frames(this.#tracks.maxMessageBytes),
    ];
  }

  /** @returns {Set<Track | Steer | Update | Cut>} */
  changed() {
    const all = /** @type {Set<any>[]} */ (
      [this.#tracks, this.#inputs, this.#liveness, this.#cuts].map(({ changed }) => changed)
    );
    const changed = new Set(all.flatMap((some) => [...some]));
    for (const drained of all) drained.clear();
    return changed;
  }

  // events

  /** @param {any} event */
  #newsOfInput(event) {
    this.#inputs.news(event);
    this.#tracks.dueAt = 0; // a lane may be free now
  }

  /** @param {{ resume_after_seconds?: number }} event */
  #goingDown({ resume_after_seconds = 0 }) {
    this.#draining = true;
    if (resume_after_seconds > 0) this.#awaySeconds = Math.min(resume_after_seconds, MAX_AWAY_SECONDS);
  }

  /**
   * @param {ErrorEvent} event
   * @param {number} now
   */
  #refused(event, now) {
    const error = ServerError.of(event);
    const [asked, serial] = String(event.event_id ?? "").split(".");
    const track = this.#tracks.bySerial(Number(serial));
    if (GOING_DOWN.has(error.code ?? "")) this.#draining = true;
    if (asked === "create" && track?.phase === "creating") {
      this.#tracks.refuse(track, "held", error, now);
    } else if (asked === "resume" && track?.phase === "resuming") {
      this.#tracks.refuse(track, "lost", error, now);
    } else if (asked === "steer" || asked === "inject") {
      this.#inputs.refused(event.event_id, error);
    } else if (asked === "truncate") {
      this.#cuts.refused(event.event_id, error);
    } else if (asked === "update") {
      this.#liveness.refused(event.event_id, error);
    } else if ((asked === "cancel" || asked === "interrupt") && track && error.code !== "response_already_completed") {
      this.#tracks.cancelRefused(track, error);
    } else if (asked === "") {
      this.#tracks.left(event.error?.response_id, error, now);
    }
  }

  // small parts

  /** @param {number} now */
  #probe(now) {
    this.#probedAt = now;
    this.#tracks.outbox.push(PROBE);
  }

  /**
   * Nobody will answer what was asked for.
   *
   * @param {RealtimeError} error
   */
  #giveUp(error) {
    this.#inputs.close(error);
    this.#cuts.close(error);
    this.#liveness.close(error);
  }

  /** All is well, or nothing depends on it: the next trouble starts counting from zero. */
  #settle() {
    this.#patience.settle();
  }

  /** @param {boolean} isProgress */
  #progress(isProgress) {
    if (isProgress) this.#settle();
  }

  #needsSocket() {
    const isAsked = this.#inputs.isWaiting || this.#liveness.isWaiting || this.#cuts.isWaiting;
    return isAsked || this.#tracks.needSocket;
  }
}
