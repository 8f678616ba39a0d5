import type { RealtimeClient } from "./client.mjs";
import type { FinalResponse } from "./track.mjs";
import type { CreateBody } from "./tracks.mjs";
import type { ResponseEvent } from "./wire.d.mts";
export type Tool<Arguments = any> = {
    name: string;
    description?: string;
    parameters: Record<string, unknown>;
    strict?: boolean;
    parse?: (given: unknown) => Arguments | Promise<Arguments>;
    /**
     * Its result, or a promise of it: a string, or what JSON can say.
     */
    run: (given: Arguments, options: {
        signal: AbortSignal;
    }) => unknown;
};
export type LoopOptions = {
    tools: readonly Tool[];
    /**
     * Default: 60.
     */
    toolTimeoutSeconds?: number;
    /**
     * Default: 16.
     */
    maxTurns?: number;
    /**
     * Gets each event of each response.
     */
    onEvent?: (event: ResponseEvent) => void;
    signal?: AbortSignal;
};
export type RunOptions = LoopOptions & Omit<CreateBody, "input" | "tools">;
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
export declare function tool<Arguments>(definition: Tool<Arguments>): Tool<Arguments>;
/**
 * See `RealtimeClient.run`.
 *
 * @param {RealtimeClient} client
 * @param {CreateBody["input"]} input
 * @param {RunOptions} options
 * @returns {Promise<FinalResponse>}
 */
export declare function run(client: RealtimeClient, input: CreateBody["input"], { tools, toolTimeoutSeconds, maxTurns, onEvent, signal, ...given }: RunOptions): Promise<FinalResponse>;
