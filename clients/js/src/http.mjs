import { now } from "./clock.mjs";
import { deadline } from "./deadline.mjs";
import { ConnectionLost, ProtocolError, RETRY_STATUS, ServerError } from "./errors.mjs";
import { Patience } from "./patience.mjs";

/** @import { Credential } from "./credential.mjs" */
/** @import { Policy } from "./policy.mjs" */

const MAX_BYTES = 64 * 2 ** 20;

/** @typedef {{ signal?: AbortSignal }} RequestOptions */
/** @typedef {Record<string, string | number | boolean | string[] | Record<string, string> | null | undefined>} Query */
/**
 * @template Item
 * @typedef {{ data: Item[], last_id: string | null, has_more: boolean }} Page
 */

/**
 * Requests over HTTP. What is refused for now is sent again, as often as on the socket; what may have been done already
 * is not, unless doing it twice is doing it once.
 */
export class Http {
  #base;
  #credential;
  #policy;
  #fetch;

  /**
   * @param {string} base
   * @param {Credential} credential
   * @param {Policy} policy
   * @param {typeof globalThis.fetch} fetch
   */
  constructor(base, credential, policy, fetch) {
    this.#base = base;
    this.#credential = credential;
    this.#policy = policy;
    this.#fetch = fetch;
  }

  /**
   * @param {string[]} path
   * @param {Query} [query]
   * @param {RequestOptions} [options]
   */
  get(path, query, options) {
    return this.#request("GET", path, { query }, options);
  }

  /**
   * @param {string[]} path
   * @param {object} [body]
   * @param {RequestOptions} [options]
   */
  post(path, body, options) {
    return this.#request("POST", path, { body }, options);
  }

  /**
   * @param {string[]} path
   * @param {RequestOptions} [options]
   */
  delete(path, options) {
    return this.#request("DELETE", path, {}, options);
  }

  /**
   * Everything that a list has, page after page. One that does not get on is a ProtocolError.
   *
   * @template Item
   * @template {{ after?: string }} Wanted
   * @param {(query: Wanted) => Promise<Page<Item>>} list
   * @param {Wanted} query
   * @returns {AsyncGenerator<Item, void, undefined>}
   */
  static async *pages(list, query) {
    const seen = new Set([query.after ?? null]);
    for (;;) {
      const { data, last_id, has_more } = await list(query);
      yield* data;
      if (!has_more || data.length === 0) return;
      if (typeof last_id !== "string" || seen.has(last_id)) throw new ProtocolError(`the list comes to ${last_id} again`);
      seen.add(last_id);
      query = { ...query, after: last_id };
    }
  }

  /**
   * @param {string} method
   * @param {string[]} path
   * @param {{ query?: Query, body?: object }} what
   * @param {RequestOptions} [options]
   * @returns {Promise<any>}
   */
  async #request(method, path, { query = {}, body }, { signal } = {}) {
    const url = `${this.#base}/${path.map(encodeURIComponent).join("/")}${queryString(query)}`;
    const content = /** @type {Record<string, string>} */ (body ? { "content-type": "application/json" } : {});
    const patience = new Patience(this.#policy);
    for (;;) {
      const headers = { ...(await this.#credential.headers()), ...content };
      const answer = await this.#send(url, { method, headers, body: JSON.stringify(body), signal });
      if ("value" in answer) return answer.value;
      const { error } = answer;
      if (!patience.wait(now(), error) || !error.retry) throw error;
      await sleep((patience.retryAt - now()) * 1000, signal);
    }
  }

  /**
   * The answer, or why there is none. As a whole it is bounded in time: a peer that drips must not hold the caller.
   *
   * @param {string} url
   * @param {RequestInit & { method: string }} request
   * @returns {Promise<{ value: any } | { error: ConnectionLost | ServerError }>}
   */
  async #send(url, request) {
    const { signal, end } = deadline(this.#policy.requestTimeoutSeconds, request.signal);
    const isSafe = request.method !== "POST";
    try {
      const fetch = this.#fetch; // a page's own wants to be called without a `this`
      const response = await fetch(url, { ...request, signal });
      const text = await bounded(response, signal);
      return response.ok ? { value: JSON.parse(text) } : { error: refusal(response, text, isSafe) };
    } catch (cause) {
      request.signal?.throwIfAborted();
      if (cause instanceof ProtocolError) throw cause;
      return { error: new ConnectionLost(`no answer from ${url}: ${cause}`, { retry: isSafe, cause }) };
    } finally {
      end();
    }
  }
}

/**
 * @param {globalThis.Response} response
 * @param {string} text
 * @param {boolean} isSafe
 */
function refusal({ status, headers }, text, isSafe) {
  const retry_after = /^\d+$/.test(headers.get("retry-after") ?? "") ? Number(headers.get("retry-after")) : undefined;
  try {
    const { error } = JSON.parse(text);
    if (error?.code) return ServerError.of({ status, error: { retry_after, ...error } });
  } catch {} // a proxy's
  const error = { message: `HTTP ${status}`, retry: isSafe && RETRY_STATUS.has(status), retry_after };
  return ServerError.of({ status, error });
}

/**
 * The text of an answer, as far as there may be: what goes on is not read.
 *
 * @param {globalThis.Response} response
 * @param {AbortSignal} signal
 */
async function bounded(response, signal) {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  signal.addEventListener("abort", () => reader?.cancel(signal.reason).catch(() => {}), { once: true });
  let [text, length] = ["", 0];
  for (let read = await reader?.read(); read?.value !== undefined; read = await reader?.read()) {
    length += read.value.length;
    if (length > MAX_BYTES) {
      reader?.cancel().catch(() => {});
      throw new ProtocolError(`an answer of more than ${MAX_BYTES} bytes`);
    }
    text += decoder.decode(read.value, { stream: true });
  }
  signal.throwIfAborted(); // cut short
  return text + decoder.decode();
}

/** @param {Query} query */
function queryString(query) {
  const pairs = Object.entries(query).flatMap(([name, value]) => {
    if (value === null || value === undefined) return [];
    if (Array.isArray(value)) return value.map((one) => [name, one]);
    if (typeof value !== "object") return [[name, String(value)]];
    return Object.entries(value).map(([key, one]) => [`${name}[${key}]`, one]);
  });
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`;
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 */
export function sleep(milliseconds, signal) {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve(undefined);
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
