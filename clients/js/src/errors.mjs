/** Everything that this client raises. All of it is a `RealtimeError`; which class says whose move it is. */

/** @import { ErrorBody } from "./wire.d.mts" */
/** @import { FinalResponse } from "./track.mjs" */

/** Base of every error of this module. */
export class RealtimeError extends Error {
  /**
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

// RFC 6455 section 7.4. After any other code the same thing would happen again.
const RECONNECT_CODES = new Set([1001, 1005, 1006, 1011, 1012, 1013, 1015]);

// HTTP statuses of a refused handshake that may pass.
export const RETRY_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);
export const URL_HINT = "the URL of a server looks like ws://127.0.0.1:8000/v1/responses, or wss:// behind TLS";

/**
 * The socket is gone and will not be, or could not be, opened again. `retry`: trying again later may help.
 * `status`: the HTTP status of a refused handshake, where the platform tells it; browsers do not.
 */
export class ConnectionLost extends RealtimeError {
  /**
   * @param {string} message
   * @param {{ retry: boolean, code?: number | null, status?: number | null, retryAfter?: number | null } & ErrorOptions} how
   */
  constructor(message, { retry, code = null, status = null, retryAfter = null, ...options }) {
    super(message, options);
    this.retry = retry;
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /**
   * The server refused the handshake; `body`: what it said, `retryAfter`: its header of this name.
   *
   * @param {string} url
   * @param {number} status
   * @param {string} body
   * @param {string} [retryAfter]
   */
  static refused(url, status, body, retryAfter = "") {
    let why = "";
    try {
      const { code, message } = JSON.parse(body).error;
      why = `: ${code}: ${message}`;
    } catch {} // a proxy's, or another server's
    if (status === 404) why = `: there is nothing at ${url}; ${URL_HINT}`;
    const text = `the server answered the handshake with HTTP ${status}${why}`;
    const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : null;
    return new ConnectionLost(text, { retry: RETRY_STATUS.has(status), code: 1006, status, retryAfter: seconds });
  }

  /**
   * No socket was opened; `why`: what the platform says, which may be nothing.
   *
   * @param {string} url
   * @param {number} code
   * @param {string} why
   */
  static unopened(url, code, why) {
    if (/non-101/.test(why)) why = ""; // Node's own, which says no more than that
    const guess = "nobody listens there, the server is not reached, the path is wrong (/v1/responses) or the key is";
    return new ConnectionLost(`no connection to ${url}: ${why || guess}`, { retry: RECONNECT_CODES.has(code), code });
  }

  /**
   * @param {number} code
   * @param {string} [reason]
   */
  static closed(code, reason = "") {
    const text = `the connection was closed with code ${code}${reason ? `: ${reason}` : ""}`;
    return new ConnectionLost(text, { retry: RECONNECT_CODES.has(code), code });
  }
}

/** The server sent what this protocol does not allow. */
export class ProtocolError extends RealtimeError {}
/** The client was closed while this response was still open. */
export class ClientClosed extends RealtimeError {}
/** The response was detached: it goes on at the server, but this handle no longer follows it. */
export class Detached extends RealtimeError {}
/** This client follows that response already. */
export class AlreadyFollowed extends RealtimeError {}
/** The request is larger than the server takes. */
export class RequestTooLarge extends RealtimeError {}

/** The model goes on calling tools. */
export class ToolLoopTooLong extends RealtimeError {}

/** The response ended as `failed`. */
export class ResponseFailed extends RealtimeError {
  /**
   * @param {FinalResponse} response
   * @param {{ code?: string | null, message?: string | null } | null} [error]
   */
  constructor(response, error) {
    super(`${error?.code}: ${error?.message}`);
    this.response = response;
    this.code = error?.code ?? null;
  }
}

/** The server refused a request. `retry`: the same request may succeed, after `retryAfter` seconds if given. */
export class ServerError extends RealtimeError {
  /** @param {ErrorEvent} event */
  constructor(event) {
    const { type = null, code = null, message = null, param = null, retry = false, retry_after } = event.error ?? {};
    super(`${code}: ${message}`);
    /** The HTTP status that goes with it. */
    this.status = event.status ?? null;
    this.type = type;
    this.code = code;
    this.param = param;
    this.retry = retry;
    this.retryAfter = typeof retry_after === "number" && retry_after >= 0 ? retry_after : null;
    /** Of the conversation, where one stands in the way. */
    this.item = event.error?.item ?? null;
  }

  /** @param {ErrorEvent} event */
  static of(event) {
    return new (ERROR_CLASSES[event.error?.code ?? ""] ?? ServerError)(event);
  }
}

/**
 * What a refusal looks like on the socket.
 *
 * @typedef {{ status?: number, event_id?: string, error?: Partial<ErrorBody> }} ErrorEvent
 */

/**
 * A steer or an injection comes to nothing, and `input` is given back. `code` is the server's, or `connection_lost`:
 * then the server may have applied it and started a successor that nobody follows.
 */
export class SteerFailed extends RealtimeError {
  /**
   * @param {{ code?: string | null, message?: string | null }} error
   * @param {unknown} input
   */
  constructor({ code = null, message = null }, input) {
    super(`${code}: ${message}`);
    this.code = code;
    this.input = input;
  }
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

/** @type {Record<string, typeof ServerError>} */
const ERROR_CLASSES = {
  response_not_found: ResponseNotFound,
  epoch_mismatch: EpochMismatch,
  cursor_too_old: CursorTooOld,
  slow_reader: CursorTooOld,
  cursor_ahead: CursorAhead,
  idempotency_conflict: IdempotencyConflict,
  item_not_found: ItemNotFound,
  conversation_moved_on: ConversationMovedOn,
  missing_tool_output: MissingToolOutput,
  tool_output_already_accepted: ToolOutputAlreadyAccepted,
};
