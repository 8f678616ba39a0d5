/** Hooks for React 18 and newer. Their components tell nobody to stop: what they leave goes on at the server. */
import type { ConnectionState, RealtimeClient } from "./client.mjs";
/** @import { ConnectionState, RealtimeClient } from "./client.mjs" */
/** @import { Store } from "./react/store.mjs" */
/**
 * How the client's connection stands, for a banner.
 *
 * @param {RealtimeClient} client
 * @returns {ConnectionState}
 */
export declare function useConnectionState(client: RealtimeClient): ConnectionState;
/**
 * One response: `create` or `resume` it, show `text` and `status`, `stop` it.
 *
 * @param {RealtimeClient} client
 */
export declare function useResponse(client: RealtimeClient): {
    status: "idle" | "running" | "stopping" | import("./track.mjs").FinalResponse["status"];
    text: string;
    reasoning: string;
    id: string | null;
    final: import("./track.mjs").FinalResponse | null;
    error: Error | null;
    create: (body: import("./tracks.mjs").CreateBody) => Promise<import("./track.mjs").FinalResponse | null>;
    resume: (cursor: Pick<import("./track.mjs").Cursor, "response_id"> & Partial<import("./track.mjs").Cursor>) => Promise<import("./track.mjs").FinalResponse | null>;
    stop: () => Promise<import("./track.mjs").FinalResponse | null>;
    cursor: import("./track.mjs").Cursor | null;
};
/**
 * A conversation that the server keeps: its `items`; `response`, the answer that is not among them yet, also one that
 * another device started before this component came; `send` and `stop`.
 *
 * @param {RealtimeClient} client
 * @param {string} id
 */
export declare function useConversation(client: RealtimeClient, id: string): {
    status: "loading" | "ready" | "failed";
    items: import("./react/conversation-store.mjs").ConversationItem[];
    response: import("./react/response-store.mjs").ResponseSnapshot;
    error: Error | null;
    send: (input: import("./inputs.mjs").Input, body?: Partial<import("./tracks.mjs").CreateBody>) => Promise<import("./track.mjs").FinalResponse | null>;
    stop: () => Promise<import("./track.mjs").FinalResponse | null>;
    reload: () => Promise<void>;
};
