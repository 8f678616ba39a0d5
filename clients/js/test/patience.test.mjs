// How long a session goes on trying: one count for the connection, one for each response.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ConnectionLost, ProtocolError, Session } from "../realtime-client.mjs";
import { recorded } from "../conformance.mjs";

const CUT = ConnectionLost.closed(1012);

/** A response that runs, on a server that goes down then and stays away. Returns for how long it was tried. */
function givenUpAfter(policy, { said = null, refusals = [] } = {}) {
  const session = new Session(policy, "test", () => 1);
  session.connected(0);
  const track = session.create({ input: "hi" });
  session.frames(0);
  session.receive(recorded(0, "r1", track.lane), 0);
  if (said !== null) session.receive(JSON.stringify({ type: "session.draining", ...said }), 0);
  session.receive(recorded(1, "r1", track.lane), 0);
  session.disconnected(CUT, 0);
  let tried = 0;
  while (!track.over) {
    tried = session.connectAt;
    session.disconnected(refusals.shift() ?? CUT, tried);
  }
  assert.equal(track.error, CUT);
  return tried;
}

test("without progress it is given up", () => {
  const tried = givenUpAfter({ maxRetrySeconds: 60 });
  assert.ok(tried > 40 && tried <= 60, `${tried}`);
});

test("a server that says when it is back is waited for twice as long", () => {
  const tried = givenUpAfter({ maxRetrySeconds: 20 }, { said: { grace_seconds: 5, resume_after_seconds: 90 } });
  assert.ok(tried > 150 && tried <= 180, `${tried}`);
  assert.ok(givenUpAfter({ maxRetrySeconds: 20 }, { said: { grace_seconds: 5, resume_after_seconds: 1 } }) <= 20);
  assert.ok(givenUpAfter({ maxRetrySeconds: 20 }, { said: { grace_seconds: 5 } }) <= 20);
});

test("a refused handshake is tried again no sooner than it says", () => {
  const session = new Session({}, "test");
  session.create({ input: "hi" });
  session.disconnected(ConnectionLost.refused("ws://h", 503, "busy", "7"), 100);
  assert.ok(session.connectAt >= 107 && session.connectAt <= 108);
});

test("what a server said of its return is forgotten once it is back", () => {
  const session = new Session({ maxRetrySeconds: 20 }, "test", () => 1);
  session.connected(0);
  const track = session.create({ input: "hi" });
  session.frames(0);
  session.receive(recorded(0, "r1", track.lane), 0);
  session.receive(JSON.stringify({ type: "session.draining", resume_after_seconds: 900 }), 0);
  session.disconnected(CUT, 0);
  session.connected(1);
  session.frames(1);
  session.receive(JSON.stringify({ type: "response.resumed", resumed: { response_id: "r1", epoch: "e1" } }), 1);
  session.disconnected(CUT, 1);
  while (!track.over) session.disconnected(CUT, session.connectAt);
  assert.ok(session.connectAt === null);
});

test("no number of the server's makes the client hurry", () => {
  for (const retry_after of [-1e9, "1", [], {}, true, null]) {
    const session = new Session({}, "test", () => 1);
    session.connected(0);
    const track = session.create({ input: "hi" });
    const event_id = JSON.parse(session.frames(0)[0]).event_id;
    session.receive(JSON.stringify({ type: "error", event_id, error: { code: "busy", retry: true, retry_after } }), 0);
    assert.equal(track.phase, "held");
    assert.deepEqual(session.frames(0.1), [], `${retry_after}`);
    assert.ok(session.dueAt > 0.1, `${retry_after}`);
  }
});

test("a delta that is no text, or that ends before it begins, is an error of the protocol", () => {
  for (const wrong of [{ delta: 7 }, { delta: null }, { delta: "a", first_sequence_number: 1, sequence_number: -5 }]) {
    const session = new Session({}, "test");
    session.connected(0);
    const track = session.create({ input: "hi" });
    session.frames(0);
    session.receive(recorded(0, "r1", track.lane), 0);
    const event = { type: "response.output_text.delta", response_id: "r1", sequence_number: 1, item_id: "m", ...wrong };
    assert.throws(() => session.receive(JSON.stringify(event), 0), ProtocolError);
  }
});
