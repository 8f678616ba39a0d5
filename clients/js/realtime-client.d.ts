/** Types of realtime-client.mjs. Members of the wire keep the wire's names. */

export const SUBPROTOCOL: "realtime.v1";

export interface Policy {
  initialDelaySeconds: number;
  maxDelaySeconds: number;
  /** How long to go on trying without any progress. */
  maxRetrySeconds: number;
  /** Characters of unread events of one response above which it is detached and fetched later. */
  maxBufferLength: number;
  /** Creates that run at once; more wait here. */
  numLanes: number;
  /** Silence, with a response open, before the server is asked whether it is there. */
  idleSeconds: number;
  probeSeconds: number;
}
export const DEFAULT_POLICY: Readonly<Policy>;

export interface Cursor {
  response_id: string;
  /** The last sequence number that was processed; -1: none. */
  starting_after?: number;
  epoch?: string | null;
}

/** An event of a response: any of the Responses API's, numbered. */
export interface ResponseEvent {
  type: string;
  response_id: string;
  sequence_number: number;
  /** True on the last event of the response. */
  done: boolean;
  stream_id?: string;
  [member: string]: unknown;
}

export interface CancelReceipt {
  tokens_generated: number;
  tokens_delivered: number;
  abort_ms: number;
}

export interface FinalResponse {
  id: string;
  status: "completed" | "incomplete" | "cancelled" | "failed";
  output: Record<string, unknown>[];
  /** All output text, joined. */
  readonly output_text: string;
  cancel?: CancelReceipt;
  [member: string]: unknown;
}

export interface CreateBody {
  input?: string | Record<string, unknown>[];
  model?: string;
  instructions?: string;
  previous_response_id?: string;
  /** Idempotency key: the same key and body attach to the response that the first try started. */
  request_id?: string;
  stream_id?: string;
  on_disconnect?: { policy: "cancel" | "linger" | "continue"; seconds?: number };
  [member: string]: unknown;
}

export interface ConnectOptions {
  /** Sent as a sub-protocol, which browsers can. */
  apiKey?: string | null;
  policy?: Partial<Policy>;
  /** Default: the global one (browsers, Node 22 and newer). */
  WebSocket?: new (url: string, protocols: string[]) => any;
}

/** Open a client. Rejects with ConnectionLost if the first connection fails. */
export function connect(url: string, options?: ConnectOptions): Promise<RealtimeClient>;

export class RealtimeClient {
  private constructor();
  /** Start a response; resolves once the server has taken it. Aborting `signal` cancels it. */
  create(body: CreateBody, options?: { signal?: AbortSignal }): Promise<Response>;
  /** Follow a response after a cursor. Aborting `signal` detaches. */
  resume(cursor: Cursor, options?: { signal?: AbortSignal }): Promise<Response>;
  /** Find out at once whether the socket lives, and connect at once if it does not. */
  check(): void;
  close(): void;
}

export class Response implements AsyncIterableIterator<ResponseEvent> {
  private constructor();
  readonly id: string;
  readonly requestId: string | null;
  readonly cursor: Required<Cursor>;
  [Symbol.asyncIterator](): this;
  next(): Promise<IteratorResult<ResponseEvent, undefined>>;
  return(): Promise<IteratorResult<ResponseEvent, undefined>>;
  /** The pieces of output text. */
  text(): AsyncIterableIterator<string>;
  /** Read to the end. Rejects with ResponseFailed when the response failed. */
  result(): Promise<FinalResponse>;
  /** Stop the response and wait for its terminal event. */
  cancel(): Promise<FinalResponse>;
  /** Stop following; the response goes on at the server. */
  detach(): Required<Cursor>;
}

export class RealtimeError extends Error {}
export class ConnectionLost extends RealtimeError {
  readonly retry: boolean;
  readonly code: number | null;
}
export class ProtocolError extends RealtimeError {}
export class ClientClosed extends RealtimeError {}
export class Detached extends RealtimeError {}
export class AlreadyFollowed extends RealtimeError {}
export class RequestTooLarge extends RealtimeError {}
export class ResponseFailed extends RealtimeError {
  readonly response: FinalResponse;
  readonly code: string | null;
}
export class ServerError extends RealtimeError {
  readonly status: number | null;
  readonly type: string | null;
  readonly code: string | null;
  readonly param: string | null;
  readonly retry: boolean;
  readonly retryAfter: number | null;
}
export class ResponseNotFound extends ServerError {}
export class EpochMismatch extends ServerError {}
export class CursorTooOld extends ServerError {}
export class CursorAhead extends ServerError {}
export class IdempotencyConflict extends ServerError {}

/** The pure core: what an own shell, or a test, drives. See the comments in the module. */
export class Session {
  constructor(policy: Partial<Policy>, name: string, random?: () => number);
  [member: string]: any;
}
