// The script of browser.html: a chat with a stop that the server confirms, and an answer that survives a reload.
import { RealtimeClient } from "../clients/js/realtime-client.mjs";

const url = new URLSearchParams(location.search).get("url") ?? "ws://127.0.0.1:8000/v1/responses";
const [form, input, stop, log, banner] = ["form", "input", "#stop", "#log", "#state"].map((name) => document.querySelector(name));
const chat = JSON.parse(sessionStorage.getItem("chat") ?? '{"lines": [], "last": null, "running": null}');
const client = new RealtimeClient(url);
client.addEventListener("statechange", () => (banner.textContent = client.state === "reconnecting" ? "reconnecting ..." : ""));

function keep(changes) {
  sessionStorage.setItem("chat", JSON.stringify(Object.assign(chat, changes)));
}

function addLine(text) {
  const line = document.createElement("p");
  line.textContent = text;
  log.append(line);
  return line;
}

/** Show a response to its end; what it was stopped at is what is kept. */
async function show(response) {
  keep({ running: response.id });
  const line = addLine("");
  stop.disabled = false;
  stop.onclick = () => response.cancel({ through: response.cursor.starting_after });
  for await (const text of response.text()) line.textContent += text;
  stop.disabled = true;
  const final = await response.result();
  line.textContent = final.output_text;
  keep({ lines: [...chat.lines, final.output_text], last: final.id, running: null });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const question = input.value;
  if (question === "" || !stop.disabled) return;
  input.value = "";
  addLine(question);
  keep({ lines: [...chat.lines, question] });
  // a page that is reloaded must not stop the answer
  const on_disconnect = { policy: "continue" };
  await show(await client.create({ input: question, previous_response_id: chat.last, on_disconnect }));
});

chat.lines.forEach(addLine);
if (chat.running !== null) await show(await client.resume({ response_id: chat.running })); // from its first event on
