/** Hooks for React 18 and newer. Their components tell nobody to stop: what they leave goes on at the server. */

import { useCallback, useEffect, useMemo, useSyncExternalStore } from "react";

import { ConversationStore } from "./react/conversation-store.mjs";
import { ResponseStore } from "./react/response-store.mjs";

/** @import { ConnectionState, RealtimeClient } from "./client.mjs" */
/** @import { Store } from "./react/store.mjs" */

/**
 * How the client's connection stands, for a banner.
 *
 * @param {RealtimeClient} client
 * @returns {ConnectionState}
 */
export function useConnectionState(client) {
  const subscribe = useCallback(
    (/** @type {() => void} */ listener) => {
      client.addEventListener("statechange", listener);
      return () => client.removeEventListener("statechange", listener);
    },
    [client],
  );
  const state = () => client.state;
  return useSyncExternalStore(subscribe, state, state);
}

/**
 * One response: `create` or `resume` it, show `text` and `status`, `stop` it.
 *
 * @param {RealtimeClient} client
 */
export function useResponse(client) {
  const store = useMemo(() => new ResponseStore(client), [client]);
  useEffect(() => store.release, [store]);
  const { create, resume, stop } = store;
  return { ...useSnapshot(store), create, resume, stop, cursor: store.cursor };
}

/**
 * A conversation that the server keeps: its `items`; `response`, the answer that is not among them yet, also one that
 * another device started before this component came; `send` and `stop`.
 *
 * @param {RealtimeClient} client
 * @param {string} id
 */
export function useConversation(client, id) {
  const store = useMemo(() => new ConversationStore(client, id), [client, id]);
  useEffect(() => {
    store.load();
    return store.release;
  }, [store]);
  const { send, stop, load } = store;
  return { ...useSnapshot(store), send, stop, reload: load };
}

/**
 * @template Snapshot
 * @param {Store<Snapshot>} store
 */
function useSnapshot(store) {
  return useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
}
