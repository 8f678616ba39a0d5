// What only this client has (liveness), and random faults on the path against an oracle.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ConnectionLost, ProtocolError, Session } from "../realtime-client.mjs";
import { recorded } from "../conformance.mjs";

const COUNT = 11;

/** mulberry32: small, seeded, good enough. */
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A server with the whole answer in its log, and a path to it that cuts, loses, repeats and swaps messages. */
function transcript(seed) {
  const random = generator(seed);
  const below = (limit) => Math.floor(random() * limit);
  const session = new Session({ maxBufferLength: random() < 0.5 ? 600 : 2 ** 20, maxRetrySeconds: 1e9 }, "test", random);
  const track = session.create({ input: "hi" });
  const got = [];
  let [now, open, follows, lane, flight] = [0, false, null, null, []];
  const cut = () => {
    [open, follows, flight] = [false, null, []];
    session.disconnected(ConnectionLost.closed(1006), now);
  };
  const read = (count) => {
    for (let event; count-- > 0 && (event = session.take(track)); ) got.push(event);
  };
  for (let step = 0; step < 5000 && !track.over; step++) {
    if (track.phase === "paused") read(100);
    track.numGaps = 0; // here a gap after each resume is bad luck
    if (!open) {
      now = Math.max(now, session.connectAt);
      session.connected(now);
      open = true;
    }
    for (const frame of session.frames(now).map((text) => JSON.parse(text))) {
      if (frame.type === "response.create") [follows, lane] = [0, frame.stream_id];
      if (frame.type === "response.detach") follows = null;
      if (frame.type !== "response.resume") continue;
      assert.equal(frame.epoch, "e1");
      flight.push(JSON.stringify({ type: "response.resumed", resumed: { response_id: "r1", epoch: "e1" } }));
      follows = frame.starting_after + 1;
    }
    if (follows !== null && follows < COUNT) flight.push(recorded(follows++, "r1", lane));
    else if (flight.length === 0) {
      cut(); // the last event was lost and nothing follows it: only a new socket shows that
      continue;
    }
    const events = flight.flatMap((message, index) => (message.includes('"stream_id"') ? [index] : []));
    const index = events[below(events.length)];
    const fault = step < 60 ? below(12) : -1;
    if (fault === 0) cut();
    else if (fault === 1 && follows !== null) follows += below(4);
    else if (fault === 2 && follows !== null) follows = Math.max(0, follows - below(9));
    else if (fault === 3 && index !== undefined) flight.splice(index, 1);
    else if (fault === 4 && index !== undefined) flight.splice(index, 0, flight[index]);
    else if (fault === 5 && index !== undefined) flight.unshift(...flight.splice(index, 1));
    if (open && flight.length > 0) session.receive(flight.shift(), now);
    if (random() < 0.3) read(1);
  }
  read(100);
  return { got, lane: track.lane };
}

test("whatever the path does, each event comes once and in order", () => {
  for (let seed = 0; seed < 500; seed++) {
    const { got, lane } = transcript(seed);
    const wanted = Array.from({ length: COUNT }, (_, number) => JSON.parse(recorded(number, "r1", lane)));
    assert.deepEqual(got, wanted, `seed ${seed}`);
  }
});

function live() {
  const session = new Session({ idleSeconds: 20, probeSeconds: 5 }, "test");
  session.connected(0);
  const track = session.create({ input: "hi" });
  session.frames(0);
  session.receive(recorded(0, "r1", track.lane), 0);
  return session;
}

test("silence is probed, and a socket that stays silent is dead", () => {
  const session = live();
  session.frames(0);
  assert.equal(session.dueAt, 20);
  assert.equal(JSON.parse(session.frames(20)[0]).event_id, "probe");
  assert.equal(session.dueAt, 25);
  assert.equal(session.silent(24.9), false);
  assert.equal(session.silent(25), true);
});

test("any message is a sign of life", () => {
  const session = live();
  session.frames(20);
  const error = { type: "error", status: 404, event_id: "probe", error: { code: "response_not_found", retry: false } };
  session.receive(JSON.stringify(error), 24);
  assert.equal(session.silent(25), false);
  assert.equal(session.dueAt, 44);
});

test("an idle client is left in peace", () => {
  const session = new Session({}, "test");
  session.connected(0);
  session.frames(0);
  assert.equal(session.dueAt, null);
});

test("a check connects at once, whatever the back-off was", () => {
  const session = live();
  for (let n = 0; n < 5; n++) session.disconnected(ConnectionLost.closed(1006), 1);
  assert.ok(session.connectAt > 2);
  session.check(1.5);
  assert.equal(session.connectAt, 1.5);
});

test("what is no event is a protocol error", () => {
  for (const text of ["", "[]", "3", "null", "{}", "not json"]) {
    assert.throws(() => new Session({}, "test").receive(text, 0), ProtocolError);
  }
});
