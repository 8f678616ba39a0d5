/**
 * Throws ConnectionLost if this can't be where a server listens.
 *
 * @param {string} url
 */
export declare function checkUrl(url: string): void;
/**
 * Where the same server answers over HTTP: `ws://host/v1/responses` -> `http://host/v1`.
 *
 * @param {string} url
 */
export declare function httpBase(url: string): string;
