import { ConnectionLost, URL_HINT } from "./errors.mjs";

/**
 * Throws ConnectionLost if this can't be where a server listens.
 *
 * @param {string} url
 */
export function checkUrl(url) {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1].toLowerCase();
  if (scheme === "ws" || scheme === "wss" || (scheme === undefined && globalThis.location)) return; // a page's own server
  throw new ConnectionLost(`${url} is no URL of a WebSocket: ${URL_HINT}`, { retry: false });
}

/**
 * Where the same server answers over HTTP: `ws://host/v1/responses` -> `http://host/v1`.
 *
 * @param {string} url
 */
export function httpBase(url) {
  const { protocol, host, pathname } = new URL(url, globalThis.location?.href);
  const scheme = protocol === "wss:" || protocol === "https:" ? "https" : "http";
  return `${scheme}://${host}${pathname.replace(/\/responses\/?$/, "").replace(/\/$/, "")}`;
}
