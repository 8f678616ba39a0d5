// Run by tests/clients/test_restarts.py with the URL of a real server, which is killed and restarted meanwhile: many
// answers on a few sockets. Says `begun` when all of them have, then what each has said.
import assert from "node:assert/strict";

import { WebSocket } from "ws";

import * as realtime from "../realtime-client.mjs";

const [url, number, perSocket, members] = process.argv.slice(2);
const POLICY = { initialDelaySeconds: 0.05, maxDelaySeconds: 1, maxRetrySeconds: 300 };
let toBegin = Number(number);

async function follow(rt, n) {
  const response = await rt.create({ ...JSON.parse(members), input: `story ${n}`, seed: n });
  let next = 0;
  let said = "";
  for await (const event of response) {
    assert.equal(event.first_sequence_number ?? event.sequence_number, next, `${n}`);
    next = event.sequence_number + 1;
    if (event.type === "response.output_text.delta") said += event.delta;
    if (next > 20 && toBegin > 0 && !response.begun) {
      response.begun = true;
      if (--toBegin === 0) console.log("begun");
    }
  }
  const result = await response.result();
  assert.equal(result.output_text, said);
  return { id: result.id, input: `story ${n}`, text: said, tokens: result.usage.output_tokens, recovery: result.recovery };
}

const sockets = Array.from(
  { length: Math.ceil(Number(number) / Number(perSocket)) },
  () => new realtime.RealtimeClient(url, { WebSocket, policy: POLICY }),
);
const streams = Array.from({ length: Number(number) }, (_, n) => follow(sockets[Math.floor(n / Number(perSocket))], n));
for (const one of await Promise.all(streams)) console.log(JSON.stringify(one));
for (const rt of sockets) rt.close();
