// Run by tests/clients/test_js_client.py with the URL of a real server: a path with random cuts, black holes and delays,
// beside an oracle, which is what a good path brings.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as dial, createServer } from "node:net";

import { WebSocket } from "ws";

import * as realtime from "../realtime-client.mjs";

const [url, runs] = process.argv.slice(2);
const POLICY = {
  initialDelaySeconds: 0.01,
  maxDelaySeconds: 0.2,
  connectTimeoutSeconds: 0.5,
  idleSeconds: 0.3,
  probeSeconds: 0.3,
};
const FAULTS = ["reset", "end", "hole", "deaf", "delay", "refuse"];
const HOLE_MS = 700;

/** mulberry32: small, seeded, good enough. */
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A way to the server that goes wrong as it is told. */
class Path {
  #sockets = new Set();
  #swallows = { up: false, down: false };
  #delayMs = 0;
  #refuses = false;

  async listen() {
    this.server = createServer((near) => this.#pass(near));
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return url.replace(/:\d+\//, `:${this.server.address().port}/`);
  }

  #pass(near) {
    if (this.#refuses) return reset(near);
    const far = dial(Number(new URL(url).port), "127.0.0.1");
    for (const [from, to, way] of [[near, far, "up"], [far, near, "down"]]) {
      this.#sockets.add(from);
      from.on("error", () => {}).on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.on("data", (data) => {
        if (this.#swallows[way]) return from.removeAllListeners("data").resume(); // and what comes later: it is a hole
        if (this.#delayMs === 0) return void to.write(data);
        from.pause();
        setTimeout(() => {
          to.write(data);
          from.resume();
        }, this.#delayMs);
      });
    }
  }

  async fault(kind) {
    if (kind === "reset") for (const socket of this.#sockets) reset(socket);
    else if (kind === "end") for (const socket of this.#sockets) socket.end();
    else if (kind === "hole") await this.#while(this.#swallows, { up: true, down: true });
    else if (kind === "deaf") await this.#while(this.#swallows, { down: true });
    else if (kind === "delay") this.#delayMs = 15;
    else if (kind === "refuse") {
      this.#refuses = true;
      await this.fault("reset");
      setTimeout(() => (this.#refuses = false), 100);
    }
  }

  async #while(what, members) {
    Object.assign(what, members);
    setTimeout(() => Object.assign(what, { up: false, down: false }), HOLE_MS);
  }

  close() {
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Node 20 keeps the handle of a socket that is reset twice, or is not open. */
const reset = (socket) => (socket.readyState === "open" ? socket.resetAndDestroy() : socket.destroy());

const bare = ({ type, sequence_number, delta, done }) => ({ type, sequence_number, delta, done });

async function read(rt, before = () => {}) {
  const events = [];
  for await (const event of await rt.create({ input: "hi", catch_up: "events" })) {
    before(events.length);
    events.push(bare(event));
  }
  return events;
}

const good = await realtime.connect(url, { WebSocket });
const oracle = await read(good);
good.close();

async function run(seed) {
  const random = generator(seed);
  const below = (limit) => Math.floor(random() * limit);
  const faults = new Map(Array.from({ length: 1 + below(3) }, () => [below(oracle.length), FAULTS[below(FAULTS.length)]]));
  const path = new Path();
  const rt = new realtime.RealtimeClient(await path.listen(), { WebSocket, policy: POLICY }); // whose first try may fail, too
  const fault = (number) => faults.has(number) && path.fault(faults.get(number));
  const others = Array.from({ length: below(3) }, () => read(rt)); // on the same socket
  for (const events of await Promise.all([read(rt, fault), ...others])) assert.deepEqual(events, oracle, `seed ${seed}`);
  rt.close();
  path.close();
  return [...faults.values()];
}

const seen = await Promise.all(Array.from({ length: Number(runs) }, (_, seed) => run(seed)));
assert.deepEqual(new Set(seen.flat()), new Set(FAULTS), "every kind was tried");
