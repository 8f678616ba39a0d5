// Stream an answer, then a second turn. `node examples/stream.mjs [URL]` with Node 22 or newer and a server running;
// on Node 20 run `npm ci` in clients/js first, for a WebSocket.
import { connect } from "../clients/js/realtime-client.mjs";

const url = process.argv[2] ?? "ws://127.0.0.1:8000/v1/responses";
const ws = "../clients/js/node_modules/ws/wrapper.mjs";
const { WebSocket } = globalThis.WebSocket ? globalThis : await import(ws).catch(() => {
  console.error("This Node has no WebSocket: run `npm ci` in clients/js first, or take Node 22 or newer.");
  process.exit(1);
});

const client = await connect(url, { WebSocket });
let response = await client.create({ input: "My name is Ada." });
for await (const text of response.text()) process.stdout.write(text); // goes on by itself when the connection comes back
console.log();

const { id } = await response.result();
response = await client.create({ input: "What is my name?", previous_response_id: id });
for await (const text of response.text()) process.stdout.write(text);
console.log();
client.close();
