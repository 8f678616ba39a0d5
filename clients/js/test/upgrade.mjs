// Run by tests/deploy/test_rolling_upgrade.py with the URL of a proxy before several servers, which are upgraded one after
// the other meanwhile: answer after answer on a few sockets, until a line comes. Says `begun` when all have, then what each
// answer has said.
import assert from "node:assert/strict";

import { WebSocket } from "ws";

import * as realtime from "../realtime-client.mjs";

const [url, number, perSocket, members] = process.argv.slice(2);
const POLICY = { initialDelaySeconds: 0.05, maxDelaySeconds: 1, maxRetrySeconds: 400, connectTimeoutSeconds: 60 };
let toBegin = Number(number);
let over = false;
process.stdin.once("data", () => (over = true));

async function answer(rt, n, turn) {
  const response = await rt.create({ ...JSON.parse(members), input: `story ${n}, ${turn}` });
  let next = 0;
  let said = "";
  for await (const event of response) {
    assert.equal(event.first_sequence_number ?? event.sequence_number, next, `${n}`);
    next = event.sequence_number + 1;
    if (event.type === "response.output_text.delta") said += event.delta;
  }
  const result = await response.result();
  assert.equal(result.output_text, said);
  return { id: result.id, text: said, tokens: result.usage.output_tokens, recovery: result.recovery ?? null };
}

async function go(rt, n) {
  const answers = [];
  do {
    answers.push(await answer(rt, n, answers.length));
    if (answers.length === 1 && --toBegin === 0) console.log("begun");
  } while (!over);
  return answers;
}

const sockets = Array.from(
  { length: Math.ceil(Number(number) / Number(perSocket)) },
  () => new realtime.RealtimeClient(url, { WebSocket, policy: POLICY }),
);
const all = await Promise.all(Array.from({ length: Number(number) }, (_, n) => go(sockets[Math.floor(n / perSocket)], n)));
for (const one of all.flat()) console.log(JSON.stringify(one));
for (const rt of sockets) rt.close();
process.stdin.destroy();
