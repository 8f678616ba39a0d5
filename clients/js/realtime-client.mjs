/**
 * Client of the realtime server, for browsers and Node 20 or newer: one import, no dependencies, no build step.
 *
 * `src/` has the parts, under the names that the Python client's parts have. `session.mjs` decides everything and does
 * no I/O (see clients/README.md for the algorithm), `client.mjs` is the shell around one WebSocket, and `response.mjs`
 * what callers hold.
 */

export { connect, RealtimeClient, SUBPROTOCOL } from "./src/client.mjs";
export {
  AlreadyFollowed,
  ClientClosed,
  ConnectionLost,
  ConversationMovedOn,
  CursorAhead,
  CursorTooOld,
  Detached,
  EpochMismatch,
  IdempotencyConflict,
  ItemNotFound,
  MissingToolOutput,
  ProtocolError,
  RealtimeError,
  RequestTooLarge,
  ResponseFailed,
  ResponseNotFound,
  ServerError,
  SteerFailed,
  ToolOutputAlreadyAccepted,
} from "./src/errors.mjs";
export { Steer } from "./src/inputs.mjs";
export { DEFAULT_POLICY } from "./src/policy.mjs";
export { Response } from "./src/response.mjs";
export { Session } from "./src/session.mjs";
