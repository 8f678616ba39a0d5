// The same client in TypeScript: `type` says which event it is, and with it which members it has.
// Node 24 and newer: `node examples/typed.ts [URL]`, with the package installed (`npm install ./clients/js ws`).
import { connect, tool, type ResponseEvent } from "realtime-llm-client/node";

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

/** A function that the model may call: what `parse` gives is what `run` is given. */
const getWeather = tool({
  name: "get_weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  parse: (given) => ({ city: String(Object(given).city) }),
  run: async ({ city }, { signal }) => ({ city, sky: signal.aborted ? "unknown" : "clear", degrees: 21 }),
});
const onEvent = (event: ResponseEvent) => process.stdout.write(shown(event));
await rt.run("What is the weather in Paris?", { tools: [getWeather], toolTimeoutSeconds: 10, onEvent });
rt.close();
