/** How patient a client is and how much it holds. Seconds; `maxBufferLength` counts characters of unread events. */
export const DEFAULT_POLICY = Object.freeze({
  initialDelaySeconds: 0.25,
  maxDelaySeconds: 10,
  maxRetrySeconds: 60, // without any progress: to connect, and to have a request taken that was refused for now
  maxBufferLength: 2 ** 20, // more of one response unread: detach it at the server, fetch the rest later
  numLanes: 16, // creates that run at once; more wait here
  idleSeconds: 20, // silence, with a response open, before the server is asked whether it is there
  probeSeconds: 5, // how long it may take to answer that
  heartbeatSeconds: null, // at least 1: have the server say so often that it lives; null: the operator's setting
  maxMissedHeartbeats: 3, // of silence on a socket with heartbeats, before it is given up
});
