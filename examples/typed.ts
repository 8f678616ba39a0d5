// The same client in TypeScript: `type` says which event it is, and with it which members it has.
// Node 24 and newer: `node examples/typed.ts [URL]`, with the package installed (`npm install ./clients/js ws`).
import { connect, type FunctionCall, type ResponseEvent } from "realtime-client/node";

/** What a terminal shows of an event. */
function shown(event: ResponseEvent): string {
  switch (event.type) {
    case "response.output_text.delta":
      return event.delta;
    case "response.output_item.done":
      return event.item.type === "function_call" ? `\n[${event.item.name}]` : "";
    case "response.completed":
    case "response.incomplete":
      return `\n(${event.response.usage?.output_tokens} tokens, ${event.response.status})\n`;
    default:
      return "";
  }
}

const rt = await connect(process.argv[2] ?? "ws://127.0.0.1:8000/v1/responses", {
  apiKey: async () => process.env.REALTIME_API_KEY ?? null,
  policy: { heartbeatSeconds: 5 },
});
rt.addEventListener("statechange", () => console.error(`(${rt.state})`));

const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", name: "get_weather", parameters }];
const response = await rt.create({ input: "What is the weather in Paris?", tools });
for await (const event of response) process.stdout.write(shown(event));

const final = await response.result();
const calls = final.output.filter((item): item is FunctionCall => item.type === "function_call");
if (calls.length > 0) {
  const output = JSON.stringify({ sky: "clear", degrees: 21 });
  const outputs = calls.map(({ call_id }) => ({ type: "function_call_output" as const, call_id, output }));
  const answer = await rt.create({ previous_response_id: final.id, input: outputs, tools });
  for await (const text of answer.text()) process.stdout.write(text);
}
rt.close();
