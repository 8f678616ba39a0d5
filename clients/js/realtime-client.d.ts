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
  /** Have the server say so often that it lives (at least 1). null: the operator's setting. */
  heartbeatSeconds: number | null;
  /** Of silence on a socket with heartbeats, before it is given up and what runs is resumed on another. */
  maxMissedHeartbeats: number;
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
  /** A merged delta stands for the events from this number to `sequence_number`. */
  first_sequence_number?: number;
  /** True on the last event of the response. */
  done: boolean;
  stream_id?: string;
  [member: string]: unknown;
}

export interface CancelReceipt {
  tokens_generated: number;
  tokens_delivered: number;
  abort_ms: number;
  /** The event behind which the answer was cut, if it was. */
  through?: number;
}

export interface FinalResponse {
  id: string;
  status: "completed" | "incomplete" | "cancelled" | "failed";
  output: Record<string, unknown>[];
  /** All output text, joined. */
  readonly output_text: string;
  cancel?: CancelReceipt;
  /** The last event of which anything is kept, where the answer was cut. */
  truncated?: { through: number };
  [member: string]: unknown;
}

export interface CreateBody {
  input?: string | Record<string, unknown>[];
  model?: string;
  instructions?: string;
  previous_response_id?: string;
  /** The response belongs to this conversation. */
  conversation?: string | { id: string };
  /** The history as Harmony messages that you hold yourself. */
  previous_input_messages?: Record<string, unknown>[];
  /** Continue though calls of the newest turn are not answered. */
  allow_missing_outputs?: boolean;
  include?: string[];
  /** Idempotency key: the same key and body attach to the response that the first try started. */
  request_id?: string;
  stream_id?: string;
  on_disconnect?: { policy: "cancel" | "linger" | "continue"; seconds?: number };
  /** How events that this client is behind with come: deltas merged (what it asks for by itself), or as they were. */
  catch_up?: "merged" | "events";
  [member: string]: unknown;
}

export interface ConnectOptions {
  /** Sent as a sub-protocol, which browsers can. */
  apiKey?: string | null;
  /** In place of a key, to follow one response; also as a sub-protocol. */
  ticket?: string | null;
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
  /** A new credential of the same tenant, or another time between heartbeats. Later connections use it, too. */
  update(changes: { apiKey?: string; heartbeatSeconds?: number }): Promise<{ heartbeat_seconds: number }>;
  /** The newest heartbeat; null before the first. */
  readonly heartbeat: Heartbeat | null;
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
  /**
   * Stop the response and wait for its terminal event. `through`: the last event that the user saw or heard (-1: none);
   * the stored answer ends there, also when it is finished. Without it the last `ack` says so.
   */
  cancel(options?: { through?: number }): Promise<FinalResponse>;
  /**
   * Cut the answer for good where the user stopped listening, finished or not: after the event `through`, or after
   * `numCharacters` code points of a message, `itemId`, by default the one whose text was read last.
   */
  truncate(where: {
    through?: number;
    numCharacters?: number;
    itemId?: string;
    contentIndex?: number;
  }): Promise<FinalResponse>;
  /** Code points of output text, as they were read here, to the number of the last event that they hold whole. */
  throughAt(numCharacters: number): number;
  /** Stop the response and forget the item that is being written. */
  interrupt(): Promise<FinalResponse>;
  /** The user has seen or heard everything up to this event; default: the one that you read last. */
  ack(through?: number): void;
  /** Give input to the running response; a successor goes on with it. Rejects with SteerFailed. */
  steer(input: string | Record<string, unknown>[]): Promise<Steer>;
  /** Give outputs of its calls to the running response without cutting it. Rejects with SteerFailed or ServerError. */
  inject(input: Record<string, unknown>[]): Promise<Steer>;
  /** The response that the server starts after this one by itself; null: none. Rejects with SteerFailed. */
  successor(): Promise<Response | null>;
  /** The events of this response, then those of its successor, and so on. */
  chain(): AsyncIterableIterator<ResponseEvent>;
  /** Stop following; the response goes on at the server. */
  detach(): Required<Cursor>;
}

/** One input that was given into a running response, and how far the server is with it. */
export class Steer {
  private constructor();
  /** null: an injection, which has none. */
  readonly id: string | null;
  readonly input: unknown;
  readonly fate: "held" | "sent" | "accepted" | "pending" | "applied" | "failed";
  /** What the server waits for: stubs of tool outputs for the create that continues the response. */
  readonly requiredInput: Record<string, unknown>[];
  readonly error: RealtimeError | null;
}

export interface Heartbeat {
  /** "ready", or why not. */
  engine: string;
  responses: {
    response_id: string;
    status: string;
    num_ahead: number | null;
    idle_seconds: number;
    prefill_tokens?: { computed: number; total: number };
    usage?: { input_tokens: number; output_tokens: number; total_tokens: number; [detail: string]: unknown };
  }[];
}

export class RealtimeError extends Error {}
export class ConnectionLost extends RealtimeError {
  readonly retry: boolean;
  readonly code: number | null;
  /** Of a refused handshake, where the platform tells it; browsers do not. */
  readonly status: number | null;
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
/** An input comes to nothing and is given back. `code` `connection_lost`: it may have been applied all the same. */
export class SteerFailed extends RealtimeError {
  readonly code: string | null;
  readonly input: unknown;
}
export class ServerError extends RealtimeError {
  readonly status: number | null;
  readonly type: string | null;
  readonly code: string | null;
  readonly param: string | null;
  readonly retry: boolean;
  readonly retryAfter: number | null;
  /** Of the conversation, where one stands in the way. */
  readonly item: Record<string, unknown> | null;
}
export class ResponseNotFound extends ServerError {}
export class EpochMismatch extends ServerError {}
export class CursorTooOld extends ServerError {}
export class CursorAhead extends ServerError {}
export class IdempotencyConflict extends ServerError {}
export class ItemNotFound extends ServerError {}
export class ConversationMovedOn extends ServerError {}
export class MissingToolOutput extends ServerError {}
export class ToolOutputAlreadyAccepted extends ServerError {}

/** The pure core: what an own shell, or a test, drives. See the comments in the module. */
export class Session {
  constructor(policy: Partial<Policy>, name: string, random?: () => number);
  [member: string]: any;
}
