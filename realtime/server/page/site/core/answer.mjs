/**
 * An answer as far as its events have come: plain data, so that it can be kept over a reload. Pure.
 *
 * @typedef {object} Item
 * @property {string} id
 * @property {string} type
 * @property {string[]} parts The text so far: of a message, of reasoning, or the arguments of a call.
 * @property {boolean} done
 * @property {Record<string, any>} raw As the server gave it last.
 */

/** @param {string} id */
export function newAnswer(id) {
  return {
    id,
    epoch: /** @type {string | null} */ (null),
    tip: -1, // the number of the last event that is in it
    status: "queued",
    over: false,
    items: /** @type {Item[]} */ ([]),
    error: /** @type {{ code?: string, message?: string } | null} */ (null),
    reason: /** @type {string | null} */ (null), // why it is incomplete
    usage: /** @type {any} */ (null),
    receipt: /** @type {any} */ (null),
    truncated: /** @type {any} */ (null),
  };
}

/** @typedef {ReturnType<typeof newAnswer>} Answer */

/**
 * The answer of a response object as HTTP gives it.
 *
 * @param {any} response
 */
export function answerOf(response) {
  const answer = newAnswer(response.id);
  settle(answer, response);
  answer.epoch = response.epoch ?? null;
  answer.tip = response.tip === undefined ? -1 : response.tip - 1;
  return answer;
}

/** @param {Answer} answer */
export const isRunning = ({ status }) => status === "queued" || status === "in_progress";

/** @param {Item} item */
export const textOf = ({ parts }) => parts.join("");

/**
 * Take one event in. Events of a merged catch-up stand for several; they are taken like others.
 *
 * @param {Answer} answer
 * @param {any} event
 */
export function apply(answer, event) {
  answer.tip = event.sequence_number;
  if (event.epoch) answer.epoch = event.epoch;
  const step = STEPS[event.type];
  if (step) step(answer, event);
  else if (event.type.endsWith(".delta") && typeof event.delta === "string") extend(answer, event);
  if (event.done === true && event.response) settle(answer, event.response);
}

/** @type {Record<string, (answer: Answer, event: any) => void>} */
const STEPS = {
  "response.created": (answer, { response }) => (answer.status = response.status),
  "response.in_progress": (answer) => (answer.status = "in_progress"),
  "response.output_item.added": (answer, { item }) => void answer.items.push(itemOf(item, false)),
  "response.output_item.done": (answer, { item }) => {
    const at = answer.items.findIndex(({ id }) => id === item.id);
    if (at < 0) answer.items.push(itemOf(item, true));
    else answer.items[at] = itemOf(item, true);
  },
  error: (answer, { error }) => Object.assign(answer, { status: "failed", over: true, error }),
};

/**
 * @param {Answer} answer
 * @param {{ item_id: string, content_index?: number, summary_index?: number, delta: string, type: string }} event
 */
function extend(answer, { item_id, content_index, summary_index, delta }) {
  const item = answer.items.findLast(({ id }) => id === item_id);
  if (!item) return;
  const index = content_index ?? summary_index ?? 0;
  while (item.parts.length <= index) item.parts.push("");
  item.parts[index] += delta;
}

/**
 * What the server keeps is what counts: an answer that was cut shorter is shown shorter.
 *
 * @param {Answer} answer
 * @param {any} response
 */
export function settle(answer, response) {
  answer.status = response.status;
  answer.over = !isRunning(answer);
  answer.items = (response.output ?? []).map((/** @type {any} */ item) => itemOf(item, item.status !== "in_progress"));
  answer.error = response.error ?? null;
  answer.reason = response.incomplete_details?.reason ?? null;
  answer.usage = response.usage ?? null;
  answer.receipt = response.cancel ?? null;
  answer.truncated = response.truncated ?? null;
}

/**
 * @param {any} raw
 * @param {boolean} done
 * @returns {Item}
 */
export function itemOf(raw, done) {
  return { id: raw.id ?? "", type: raw.type ?? "message", parts: partsOf(raw), done, raw };
}

/** @param {any} raw */
function partsOf(raw) {
  if (typeof raw.content === "string") return [raw.content];
  if (raw.type === "reasoning") return [...(raw.content ?? raw.summary ?? [])].map(({ text }) => text ?? "");
  if (Array.isArray(raw.content)) return raw.content.map((/** @type {any} */ part) => part.text ?? part.refusal ?? "");
  const said = raw.arguments ?? raw.input;
  return typeof said === "string" ? [said] : [];
}
