// A server that speaks this wire and cuts at every message, for the tests of the shell.
import { once } from "node:events";

import { WebSocket, WebSocketServer } from "ws";

import * as realtime from "../realtime-client.mjs";
import { recorded } from "../conformance.mjs";

export const ALL = Array.from({ length: 11 }, (_, number) => number);
export const QUICK = { initialDelaySeconds: 0 };

/**
 * `cuts`: after how many messages each connection in turn is killed. `holdAt`: stop there until cancelled.
 * `beatSeconds`: what it says about heartbeats; it sends none.
 */
export class FakeServer {
  frames = [];
  protocols = [];
  authorizations = [];
  gone = "response_not_found"; // what it says of a response that it has not
  logs = new Map();
  #byRequest = new Map();

  constructor({ cuts = [], closeCode = null, holdAt = 11, padding = "", beatSeconds = 0 } = {}) {
    Object.assign(this, { cuts: [...cuts], closeCode, holdAt, padding, beatSeconds });
  }

  async listen(t) {
    const handleProtocols = (protocols) => {
      this.protocols.push([...protocols]);
      return "realtime.v1";
    };
    this.server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols });
    this.server.on("connection", (socket, { headers }) => {
      this.authorizations.push(headers.authorization);
      this.#serve(socket);
    });
    await once(this.server, "listening");
    t.after(() => this.stop());
    return `ws://127.0.0.1:${this.server.address().port}/v1/responses`;
  }

  stop() {
    for (const socket of this.server.clients) socket.terminate();
    this.server.close();
  }

  #serve(socket) {
    let left = this.cuts.shift() ?? Infinity;
    const following = new Map();
    const send = (text) => {
      if (left-- > 0) return socket.send(text);
      following.clear();
      if (this.closeCode) socket.close(this.closeCode);
      else socket.terminate();
    };
    const pump = (id) => {
      const log = this.logs.get(id);
      while (following.has(id) && following.get(id) < log.length) {
        const at = following.get(id);
        following.set(id, at + 1);
        send(log[at]);
      }
    };
    send(JSON.stringify({ type: "session.created", sequence_number: 0, done: true }));
    socket.on("message", (data) => {
      const frame = JSON.parse(data);
      this.frames.push(frame);
      const id = frame.response_id;
      if (frame.type === "response.create") {
        const created = this.#log(frame);
        following.set(created, 0);
        pump(created);
      } else if (frame.type === "response.resume" && this.logs.has(id)) {
        send(JSON.stringify({ type: "response.resumed", resumed: { response_id: id, epoch: "e1" } }));
        following.set(id, frame.starting_after + 1);
        pump(id);
      } else if (frame.type === "session.update") {
        send(JSON.stringify({ type: "session.updated", session: { heartbeat_seconds: this.beatSeconds } }));
      } else if (frame.type === "response.cancel" || frame.type === "response.interrupt") {
        this.#cancel(id, frame.through);
        pump(id);
      } else if (frame.type === "response.detach" && following.delete(id)) {
        // it goes on
      } else {
        const error = { code: this.gone, message: "no", retry: false };
        send(JSON.stringify({ type: "error", status: 404, event_id: frame.event_id, error }));
      }
    });
  }

  #log(frame) {
    const key = frame.request_id;
    if (!this.#byRequest.has(key)) {
      const id = `r${this.#byRequest.size}`;
      this.#byRequest.set(key, id);
      const event = (number) => JSON.parse(recorded(number, id, frame.stream_id));
      const padded = (number) => JSON.stringify({ ...event(number), padding: this.padding });
      this.logs.set(id, ALL.slice(0, this.holdAt).map(padded));
    }
    return this.#byRequest.get(key);
  }

  #cancel(id, through) {
    const log = this.logs.get(id);
    const cut = through === undefined ? {} : { truncated: { through } };
    const response = { id, status: "cancelled", output: [], cancel: { tokens_generated: log.length }, ...cut };
    const numbered = { response_id: id, sequence_number: log.length, done: true };
    log.push(JSON.stringify({ type: "response.incomplete", response, ...numbered }));
  }

  get types() {
    return this.frames.map(({ type }) => type);
  }
}

export async function start(t, options = {}, policy = {}) {
  const server = new FakeServer(options);
  const url = await server.listen(t);
  const rt = await realtime.connect(url, { WebSocket, policy: { ...QUICK, ...policy } });
  t.after(() => rt.close());
  return { server, rt, url };
}

export async function numbers(response) {
  const out = [];
  for await (const event of response) out.push(event.sequence_number);
  return out;
}
