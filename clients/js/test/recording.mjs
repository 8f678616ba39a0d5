// The shared recording and cases of clients/conformance.
import { readFileSync } from "node:fs";

export const read = (name) => JSON.parse(readFileSync(new URL(`../../conformance/${name}`, import.meta.url), "utf8"));
const RECORDING = read("recording.json");

/** Event `number` of the recording, as the server would send it for this response. */
export function recorded(number, responseId, lane) {
  const event = JSON.parse(JSON.stringify(RECORDING[number]).replaceAll("$id", responseId));
  return JSON.stringify({ ...event, response_id: responseId, ...(lane == null ? {} : { stream_id: lane }) });
}
