import { deadline, until } from "./deadline.mjs";
import { ToolLoopTooLong } from "./errors.mjs";

/** @import { RealtimeClient } from "./client.mjs" */
/** @import { FinalResponse } from "./track.mjs" */
/** @import { CreateBody } from "./tracks.mjs" */
/** @import { FunctionCall, ResponseEvent } from "./wire.d.mts" */

const ASYNC_DISPOSE = Symbol.asyncDispose ?? Symbol.for("asyncDispose");

/**
 * A function that the model may call. `parameters`: the JSON schema of its arguments. `parse` checks them and gives them
 * their type (Zod's `schema.parse`, say); what it throws is told to the model.
 *
 * @template [Arguments=any]
 * @typedef {object} Tool
 * @property {string} name
 * @property {string} [description]
 * @property {Record<string, unknown>} parameters
 * @property {boolean} [strict]
 * @property {(given: unknown) => Arguments | Promise<Arguments>} [parse]
 * @property {(given: Arguments, options: { signal: AbortSignal }) => unknown} run Its result, or a promise of it: a string, or what JSON can say.
 */
/**
 * @typedef {object} LoopOptions
 * @property {readonly Tool[]} tools
 * @property {number} [toolTimeoutSeconds] Default: 60.
 * @property {number} [maxTurns] Default: 16.
 * @property {(event: ResponseEvent) => void} [onEvent] Gets each event of each response.
 * @property {AbortSignal} [signal]
 */
/** @typedef {LoopOptions & Omit<CreateBody, "input" | "tools">} RunOptions */

/**
 * A tool as it is given, with the type of its arguments.
 *
 * @template Arguments
 * @param {Tool<Arguments>} definition
 */
export function tool(definition) {
  return definition;
}

/**
 * See `RealtimeClient.run`.
 *
 * @param {RealtimeClient} client
 * @param {CreateBody["input"]} input
 * @param {RunOptions} options
 * @returns {Promise<FinalResponse>}
 */
export async function run(client, input, { tools, toolTimeoutSeconds = 60, maxTurns = 16, onEvent, signal, ...given }) {
  const known = new Map(tools.map((one) => [one.name, one]));
  /** @type {CreateBody} */
  let body = { ...given, input, tools: tools.map(declared) };
  for (let turn = 0; turn < maxTurns; turn++) {
    const final = await answer(client, body, onEvent, signal);
    const calls = callsOf(final);
    if (calls.length === 0 || calls.some(({ name }) => !known.has(name))) return final;
    const told = calls.map(async ({ call_id, name, arguments: text }) => {
      const output = await outcome(/** @type {Tool} */ (known.get(name)), text, toolTimeoutSeconds, signal);
      return { type: /** @type {const} */ ("function_call_output"), call_id, output };
    });
    const { tool_choice, ...rest } = body; // was for the first turn: a model that must call never ends
    body = { ...rest, input: await Promise.all(told) };
    if (body.conversation == null) body.previous_response_id = final.id;
  }
  throw new ToolLoopTooLong(`the model still calls tools after ${maxTurns} turns`);
}

/** @param {Tool} tool */
function declared({ name, description, parameters, strict }) {
  return { type: /** @type {const} */ ("function"), name, parameters, ...(description && { description }), ...(strict != null && { strict }) };
}

/**
 * One response, to its end. Whoever leaves early stops it.
 *
 * @param {RealtimeClient} client
 * @param {CreateBody} body
 * @param {LoopOptions["onEvent"]} onEvent
 * @param {AbortSignal} [signal]
 */
async function answer(client, body, onEvent, signal) {
  const response = await client.create(body, signal ? { signal } : {});
  try {
    for await (const event of response) onEvent?.(event);
    signal?.throwIfAborted();
    return await response.result();
  } finally {
    await /** @type {any} */ (response)[ASYNC_DISPOSE]();
  }
}

/**
 * What is to be called; nothing, if the answer was cut.
 *
 * @param {FinalResponse} final
 */
function callsOf({ status, output }) {
  if (status !== "completed") return [];
  /** @type {FunctionCall[]} */
  const calls = [];
  for (const item of output) if (item.type === "function_call" && item.status === "completed") calls.push(item);
  return calls;
}

/**
 * What the model is told, also of a failure: it may try again, or do without.
 *
 * @param {Tool} tool
 * @param {string} text
 * @param {number} seconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<string>}
 */
async function outcome({ name, parse, run }, text, seconds, signal) {
  const limit = deadline(seconds, signal);
  const call = async () => {
    const given = JSON.parse(text);
    return run(parse ? await parse(given) : given, { signal: limit.signal });
  };
  try {
    const result = await until(call(), limit.signal);
    return typeof result === "string" ? result : (JSON.stringify(result) ?? "null");
  } catch (error) {
    signal?.throwIfAborted();
    if (limit.signal.aborted) return `error: ${name} gave no result in ${seconds} s`;
    return `error: ${error instanceof Error ? `${error.name}: ${error.message}` : error}`;
  } finally {
    limit.end();
  }
}
