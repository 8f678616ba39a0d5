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

/** @type {Readonly<Policy>} */
export const DEFAULT_POLICY = Object.freeze({
  initialDelaySeconds: 0.25,
  maxDelaySeconds: 10,
  maxRetrySeconds: 60,
  connectTimeoutSeconds: 5,
  requestTimeoutSeconds: 120,
  maxBufferLength: 2 ** 20,
  numLanes: 16,
  idleSeconds: 20,
  probeSeconds: 5,
  heartbeatSeconds: null,
  maxMissedHeartbeats: 3,
});

/**
 * The policy with its defaults. Throws RangeError for what can't be one.
 *
 * @param {Partial<Policy>} given
 * @returns {Policy}
 */
export function policyOf(given) {
  const policy = { ...DEFAULT_POLICY, ...given };
  const { heartbeatSeconds, maxMissedHeartbeats, connectTimeoutSeconds, requestTimeoutSeconds } = policy;
  if (heartbeatSeconds !== null && heartbeatSeconds > 0 && heartbeatSeconds < 1) {
    throw new RangeError("heartbeatSeconds must be 0, which is never, or at least 1");
  }
  if (maxMissedHeartbeats < 1) throw new RangeError("maxMissedHeartbeats must be at least 1");
  if (!(connectTimeoutSeconds > 0)) throw new RangeError("connectTimeoutSeconds must be more than 0");
  if (!(requestTimeoutSeconds > 0)) throw new RangeError("requestTimeoutSeconds must be more than 0");
  return policy;
}
