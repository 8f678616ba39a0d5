/**
 * Client of the realtime server, for browsers and Node 20 or newer: one import, no dependencies, no build step.
 *
 * `src/` has the parts, under the names that the Python client's parts have. `session.mjs` decides everything and does
 * no I/O (see clients/README.md for the algorithm), `client.mjs` is the shell around one WebSocket, and `response.mjs`
 * what callers hold.
 */
export { connect, RealtimeClient } from "./src/client.mjs";
export { AlreadyFollowed, ClientClosed, ConnectionLost, ConversationMovedOn, CursorAhead, CursorTooOld, Detached, EpochMismatch, IdempotencyConflict, ItemNotFound, MissingToolOutput, ProtocolError, RealtimeError, RequestTooLarge, ResponseFailed, ResponseNotFound, ServerError, SteerFailed, ToolLoopTooLong, ToolOutputAlreadyAccepted, } from "./src/errors.mjs";
export { SUBPROTOCOL } from "./src/link.mjs";
export { Steer } from "./src/inputs.mjs";
export { DEFAULT_POLICY } from "./src/policy.mjs";
export { Response } from "./src/response.mjs";
export { Session } from "./src/session.mjs";
export { tool } from "./src/tools.mjs";
export type ConnectOptions = import("./src/client.mjs").ConnectOptions;
export type ConnectionState = import("./src/client.mjs").ConnectionState;
export type ApiKey = import("./src/credential.mjs").ApiKey;
export type Policy = import("./src/policy.mjs").Policy;
export type RunOptions = import("./src/tools.mjs").RunOptions;
export type Tool<Arguments = any> = import("./src/tools.mjs").Tool<Arguments>;
export type Cursor = import("./src/track.mjs").Cursor;
export type FinalResponse = import("./src/track.mjs").FinalResponse;
export type CreateBody = import("./src/tracks.mjs").CreateBody;
export type ResponseEvent = import("./src/wire.d.mts").ResponseEvent;
export type OutputItem = import("./src/wire.d.mts").OutputItem;
export type FunctionCall = import("./src/wire.d.mts").FunctionCall;
export type Heartbeat = import("./src/wire.d.mts").Heartbeat;
export type Input = import("./src/inputs.mjs").Input;
/** @typedef {import("./src/client.mjs").ConnectOptions} ConnectOptions */
/** @typedef {import("./src/client.mjs").ConnectionState} ConnectionState */
/** @typedef {import("./src/credential.mjs").ApiKey} ApiKey */
/** @typedef {import("./src/policy.mjs").Policy} Policy */
/** @typedef {import("./src/tools.mjs").RunOptions} RunOptions */
/**
 * @template [Arguments=any]
 * @typedef {import("./src/tools.mjs").Tool<Arguments>} Tool
 */
/** @typedef {import("./src/track.mjs").Cursor} Cursor */
/** @typedef {import("./src/track.mjs").FinalResponse} FinalResponse */
/** @typedef {import("./src/tracks.mjs").CreateBody} CreateBody */
/** @typedef {import("./src/wire.d.mts").ResponseEvent} ResponseEvent */
/** @typedef {import("./src/wire.d.mts").OutputItem} OutputItem */
/** @typedef {import("./src/wire.d.mts").FunctionCall} FunctionCall */
/** @typedef {import("./src/wire.d.mts").Heartbeat} Heartbeat */
/** @typedef {import("./src/inputs.mjs").Input} Input */
