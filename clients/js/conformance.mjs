// The JavaScript adapter for the cases of clients/conformance: plays a case against the pure session.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { ConnectionLost, ServerError, Session } from "./realtime-client.mjs";

const read = (name) => JSON.parse(readFileSync(new URL(`../conformance/${name}`, import.meta.url), "utf8"));
const RECORDING = read("recording.json");
export const CASES = read("cases.json");

/** Event `number` of the recording, as the server would send it for this response. */
export function recorded(number, responseId, lane) {
  const event = JSON.parse(JSON.stringify(RECORDING[number]).replaceAll("$id", responseId));
  return JSON.stringify({ ...event, response_id: responseId, ...(lane == null ? {} : { stream_id: lane }) });
}

const POLICY_NAMES = {
  max_buffer_bytes: "maxBufferLength",
  max_retry_seconds: "maxRetrySeconds",
  heartbeat_seconds: "heartbeatSeconds",
  max_missed_heartbeats: "maxMissedHeartbeats",
};

const snake = (name) => name.replaceAll(/([a-z])([A-Z])/g, "$1_$2").toLowerCase();

/** One run of one case. */
export class Player {
  #session;
  #tracks = {};
  #steers = {};
  #updates = {};
  #cuts = {};
  #bound = {};
  #sent = [];
  #now = 1000;

  constructor({ policy = {} }) {
    const renamed = Object.entries(policy).map(([name, value]) => [POLICY_NAMES[name], value]);
    this.#session = new Session(Object.fromEntries(renamed), "test");
  }

  play(steps) {
    for (const step of steps) {
      const [[verb, subject]] = Object.entries(step);
      this[verb](subject, step);
      this.#sent.push(...this.#session.frames(this.#now).map((frame) => JSON.parse(frame)));
    }
  }

  open() {
    this.#session.connected(this.#now);
  }

  closed(code) {
    this.#session.disconnected(ConnectionLost.closed(code), this.#now);
  }

  wait(seconds) {
    this.#now += seconds;
  }

  create(name, { body }) {
    this.#tracks[name] = this.#session.create(body);
  }

  resume(name, cursor) {
    this.#tracks[name] = this.#session.resume(cursor);
  }

  cancel(name, { through = null }) {
    this.#session.cancel(this.#tracks[name], { through });
  }

  interrupt(name) {
    this.#session.cancel(this.#tracks[name], { stop: "interrupt" });
  }

  ack(name, { through }) {
    this.#session.ack(this.#tracks[name], through);
  }

  truncate(name, { of, members }) {
    this.#cuts[name] = this.#session.truncate(this.#tracks[of], members);
  }

  truncated(name, step) {
    const { track, final, error } = this.#cuts[name];
    assert.deepEqual(final?.truncated, step.at);
    assert.equal(error?.code, step.with);
    if ("final" in step) assert.equal(track.final.output_text, step.final);
  }

  characters(number, { of, are }) {
    assert.equal(this.#tracks[of].throughAt(number), are);
  }

  leave(name) {
    this.#session.leave(this.#tracks[name]);
  }

  steer(name, { of, input }) {
    this.#steers[name] = this.#session.give("steer", this.#tracks[of], input);
  }

  inject(name, { of, input }) {
    this.#steers[name] = this.#session.give("inject", this.#tracks[of], input);
  }

  fate(name, step) {
    const { fate, error, requiredInput } = this.#steers[name];
    assert.equal(fate, step.is);
    assert.equal(error?.code, step.with);
    assert.deepEqual(requiredInput.map((stub) => stub.call_id), step.requires ?? []);
  }

  awaits(name, step) {
    assert.equal(this.#tracks[name].awaitsSuccessor, step.is);
  }

  successor(name, { of }) {
    this.#tracks[name] = this.#session.takeSuccessor(this.#tracks[of]);
    assert.notEqual(this.#tracks[name], null);
  }

  update(name, { members }) {
    this.#updates[name] = this.#session.update(members);
  }

  updated(name, step) {
    const { state, error } = this.#updates[name];
    assert.deepEqual(state, step.state ?? null);
    assert.equal(error?.code, step.with);
  }

  silent(expected) {
    assert.equal(this.#session.silent(this.#now), expected);
  }

  abandon(name) {
    this.#session.abandon(this.#tracks[name]);
  }

  detach(name, { cursor }) {
    this.#session.detach(this.#tracks[name]);
    assert.deepEqual(this.#tracks[name].cursor, cursor);
  }

  events([first, last], step) {
    const lane = this.#tracks[step.for]?.lane;
    for (let n = first; n <= last; n++) this.#session.receive(recorded(n, step.of, lane), this.#now);
  }

  event(event) {
    const text = JSON.stringify(event).replaceAll(/"\$(\w+)"/g, (_, name) => JSON.stringify(this.#bound[name]));
    this.#session.receive(text, this.#now);
  }

  read(name, { gives, first = Infinity }) {
    const numbers = [];
    for (let event; numbers.length < first && (event = this.#session.take(this.#tracks[name])); ) {
      numbers.push(event.sequence_number);
    }
    assert.deepEqual(numbers, gives);
  }

  sent(expected) {
    const frames = this.#sent;
    this.#sent = [];
    assert.equal(frames.length, expected.length, JSON.stringify(frames));
    expected.forEach((wanted, index) => {
      for (const [key, value] of Object.entries(wanted)) {
        assert.equal(frames[index][key], this.#value(value, frames[index][key]));
      }
    });
  }

  #value(value, seen) {
    if (typeof value !== "string" || !value.startsWith("$")) return value;
    return (this.#bound[value.slice(1)] ??= seen);
  }

  over(name) {
    assert.notEqual(this.#tracks[name].terminal, null);
  }

  fails(name, step) {
    const { error } = this.#tracks[name];
    assert.equal(error instanceof ServerError ? error.code : snake(error.constructor.name), step.with);
  }

  connecting(expected) {
    assert.equal(this.#session.connectAt !== null, expected);
  }
}
