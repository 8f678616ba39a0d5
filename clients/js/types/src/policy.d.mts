/**
 * How patient a client is and how much it holds. Times are in seconds.
 *
 * @typedef {object} Policy
 * @property {number} initialDelaySeconds The pause before the first new attempt; it doubles from one to the next.
 * @property {number} maxDelaySeconds What it doubles up to.
 * @property {number} maxRetrySeconds How long to go on without any progress: to connect, and to have a request taken
 *   that was refused for now. At least twice what a server that is being restarted says that it needs.
 * @property {number} connectTimeoutSeconds How long an attempt to open a socket may take, the key's function included;
 *   up to four times as long after attempts that took too long.
 * @property {number} requestTimeoutSeconds How long one attempt of a request over HTTP may take, its answer included.
 * @property {number} maxBufferLength Characters of unread events of one response; with more it is detached at the
 *   server and the rest is fetched later.
 * @property {number} numLanes Creates that run at once; more wait here.
 * @property {number} idleSeconds Silence, with a response open, before the server is asked whether it is there.
 * @property {number} probeSeconds How long it may take to answer that.
 * @property {number | null} heartbeatSeconds At least 1: have the server say so often that it lives; null: the
 *   operator's setting.
 * @property {number} maxMissedHeartbeats Of silence on a socket with heartbeats, before it is given up.
 */
export type Policy = {
    /**
     * The pause before the first new attempt; it doubles from one to the next.
     */
    initialDelaySeconds: number;
    /**
     * What it doubles up to.
     */
    maxDelaySeconds: number;
    /**
     * How long to go on without any progress: to connect, and to have a request taken
     * that was refused for now. At least twice what a server that is being restarted says that it needs.
     */
    maxRetrySeconds: number;
    /**
     * How long an attempt to open a socket may take, the key's function included;
     * up to four times as long after attempts that took too long.
     */
    connectTimeoutSeconds: number;
    /**
     * How long one attempt of a request over HTTP may take, its answer included.
     */
    requestTimeoutSeconds: number;
    /**
     * Characters of unread events of one response; with more it is detached at the
     * server and the rest is fetched later.
     */
    maxBufferLength: number;
    /**
     * Creates that run at once; more wait here.
     */
    numLanes: number;
    /**
     * Silence, with a response open, before the server is asked whether it is there.
     */
    idleSeconds: number;
    /**
     * How long it may take to answer that.
     */
    probeSeconds: number;
    /**
     * At least 1: have the server say so often that it lives; null: the
     * operator's setting.
     */
    heartbeatSeconds: number | null;
    /**
     * Of silence on a socket with heartbeats, before it is given up.
     */
    maxMissedHeartbeats: number;
};
/** @type {Readonly<Policy>} */
export declare const DEFAULT_POLICY: Readonly<Policy>;
/**
 * The policy with its defaults. Throws RangeError for what can't be one.
 *
 * @param {Partial<Policy>} given
 * @returns {Policy}
 */
export declare function policyOf(given: Partial<Policy>): Policy;
