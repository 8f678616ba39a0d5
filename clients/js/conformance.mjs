// The driver of the JavaScript client for clients/conformance: commands on stdin, what the pure session does on stdout.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { ConnectionLost, RealtimeError, ServerError, Session, SteerFailed } from "./realtime-client.mjs";

const RECORDING = JSON.parse(readFileSync(new URL("../conformance/recording.json", import.meta.url), "utf8"));
const URL_OF_CASES = "ws://127.0.0.1:8000/v1/responses";
const POLICY_NAMES = {
  max_buffer_bytes: "maxBufferLength",
  max_retry_seconds: "maxRetrySeconds",
  connect_timeout_seconds: "connectTimeoutSeconds",
  heartbeat_seconds: "heartbeatSeconds",
  max_missed_heartbeats: "maxMissedHeartbeats",
};

/** Event `number` of the recording, as the server would send it for this response. */
export function recorded(number, responseId, lane) {
  const event = JSON.parse(JSON.stringify(RECORDING[number]).replaceAll("$id", responseId));
  return JSON.stringify({ ...event, response_id: responseId, ...(lane == null ? {} : { stream_id: lane }) });
}

function kindOf(error) {
  if (error instanceof ServerError || error instanceof SteerFailed) return "server_error";
  if (error instanceof RangeError) return "event_not_received";
  return error.constructor.name.replaceAll(/([a-z])([A-Z])/g, "$1_$2").toLowerCase();
}

function described(error) {
  if (error == null) return null;
  return { kind: kindOf(error), code: error.code ?? null, status: error.status ?? null, message: error.message };
}

/** One client, and the things that the runner has given names to. */
class Driver {
  #session;
  #named = new Map(); // name -> [what kind of thing, the thing]
  #now = 0;
  #dials = false;

  constructor(policy) {
    const renamed = Object.entries(policy).map(([name, value]) => [POLICY_NAMES[name], value]);
    this.#session = new Session(Object.fromEntries(renamed), "test");
  }

  act(command) {
    this.#passTime(command.now);
    const act = ACTIONS[command.do];
    if (act === undefined) return { unknown: true };
    const answer = {};
    try {
      answer.value = act.call(this, this.#session, command, this.#now);
    } catch (error) {
      if (!(error instanceof RealtimeError || error instanceof RangeError)) throw error;
      answer.raised = kindOf(error);
    }
    if (["open", "closed", "refused"].includes(command.do)) this.#dials = false;
    answer.sent = this.#session.frames(this.#now);
    this.#dial();
    answer.wants_socket = this.#session.connectAt !== null;
    answer.dials = this.#dials;
    answer.state = this.#session.state;
    answer.gave_up = this.#session.silent(this.#now);
    return answer;
  }

  /** Open a socket when the session wants one; it tells how long that may take. */
  #dial() {
    const at = this.#session.connectAt;
    if (at === null) this.#dials = false;
    else if (at <= this.#now && !this.#dials) {
      this.#dials = true;
      this.#session.connecting(this.#now);
    }
  }

  #passTime(now) {
    this.#now = now;
    if (this.#dials && this.#session.dialUntil <= now) {
      this.#session.disconnected(ConnectionLost.closed(1006, "the attempt took too long"), this.#session.dialUntil);
      this.#dials = false;
    }
  }

  name(name, kind, thing) {
    this.#named.set(name, [kind, thing]);
  }

  track(name) {
    return this.#named.get(name)[1];
  }

  look(name) {
    const [kind, thing] = this.#named.get(name);
    return LOOKS[kind](thing);
  }
}

const give = (kind) =>
  function (session, { as, of, input }) {
    this.name(as, "steer", session.give(kind, this.track(of), input));
  };

const ACTIONS = {
  open: (session, _, now) => session.connected(now),
  closed: (session, { code }, now) => session.disconnected(ConnectionLost.closed(code), now),
  refused: (session, { status, body, retry_after: retryAfter }, now) =>
    session.disconnected(ConnectionLost.refused(URL_OF_CASES, status, body, retryAfter), now),
  receive: (session, { data }, now) => session.receive(data, now),
  wait() {},

  create(session, { as, body }) {
    this.name(as, "response", session.create(body));
  },
  resume(session, { as, response_id, starting_after, epoch }) {
    this.name(as, "response", session.resume({ response_id, starting_after, epoch }));
  },
  read(session, { of, first }) {
    const events = [];
    for (let event; events.length < (first ?? Infinity) && (event = session.take(this.track(of))); ) events.push(event);
    return events;
  },
  cancel(session, { of, through }) {
    session.cancel(this.track(of), { through });
  },
  interrupt(session, { of }) {
    session.cancel(this.track(of), { stop: "interrupt" });
  },
  leave(session, { of }) {
    session.leave(this.track(of));
  },
  detach(session, { of }) {
    session.detach(this.track(of));
  },
  abandon(session, { of }) {
    session.abandon(this.track(of));
  },
  ack(session, { of, through }) {
    session.ack(this.track(of), through);
  },
  truncate(session, { as, of, members }) {
    this.name(as, "cut", session.truncate(this.track(of), members));
  },
  steer: give("steer"),
  inject: give("inject"),
  update(session, { as, members }) {
    this.name(as, "update", session.update(members));
  },
  successor(session, { as, of }) {
    this.name(as, "response", session.takeSuccessor(this.track(of)));
  },
  characters(_, { of, number }) {
    return this.track(of).throughAt(number);
  },
  look(_, { of }) {
    return this.look(of);
  },
};

const LOOKS = {
  response: (track) => ({
    over: track.terminal !== null,
    error: described(track.error),
    cursor: track.responseId === null ? null : track.cursor,
    awaits_successor: track.awaitsSuccessor,
    final: track.final,
    cancel_error: described(track.cancelRefusal),
  }),
  steer: (steer) => ({
    fate: steer.fate,
    error: described(steer.error),
    requires: steer.requiredInput.map((stub) => stub.call_id),
  }),
  cut: (cut) => ({ final: cut.final, error: described(cut.error) }),
  update: (update) => ({ state: update.state, error: described(update.error) }),
};

async function serve() {
  let driver = new Driver({});
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    let answer = {};
    try {
      if (command.do === "begin") {
        driver = new Driver(command.policy);
      } else answer = driver.act(command);
    } catch (error) {
      answer = { broken: String(error.stack) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve();
