import { Store } from "./store.mjs";
import type { RealtimeClient } from "../client.mjs";
import type { Input } from "../inputs.mjs";
import type { FinalResponse } from "../track.mjs";
import type { CreateBody } from "../tracks.mjs";
import type { ResponseSnapshot } from "./response-store.mjs";
import type { ConversationItems } from "../wire.d.mts";
export type ConversationItem = ConversationItems["data"][number];
export type ConversationSnapshot = {
    status: "loading" | "ready" | "failed";
    /**
     * What is in the conversation; of a turn that runs, what it was given.
     */
    items: ConversationItem[];
    /**
     * The answer that is not among the items yet; idle if there is none.
     */
    response: ResponseSnapshot;
    error: Error | null;
};
/** @import { RealtimeClient } from "../client.mjs" */
/** @import { Input } from "../inputs.mjs" */
/** @import { FinalResponse } from "../track.mjs" */
/** @import { CreateBody } from "../tracks.mjs" */
/** @import { ResponseSnapshot } from "./response-store.mjs" */
/** @import { ConversationItems } from "../wire.d.mts" */
/** @typedef {ConversationItems["data"][number]} ConversationItem */
/**
 * @typedef {object} ConversationSnapshot
 * @property {"loading" | "ready" | "failed"} status
 * @property {ConversationItem[]} items What is in the conversation; of a turn that runs, what it was given.
 * @property {ResponseSnapshot} response The answer that is not among the items yet; idle if there is none.
 * @property {Error | null} error
 */
/**
 * A conversation as a component shows it: its items, and the response that runs in it, whoever started that.
 *
 * @extends {Store<ConversationSnapshot>}
 */
export declare class ConversationStore extends Store<ConversationSnapshot> {
    #private;
    /**
     * @param {RealtimeClient} client
     * @param {string} id
     */
    constructor(client: RealtimeClient, id: string);
    /** Fetch the items, and follow what runs. Resolves when the items are here. */
    load: () => Promise<void>;
    /**
     * The next turn. Resolves at its end, to the final response; null: it is no longer followed, or failed.
     *
     * @param {Input} input
     * @param {Partial<CreateBody>} [body]
     */
    send: (input: Input, body?: Partial<CreateBody>) => Promise<FinalResponse | null>;
    /** Stop the response that runs. */
    stop: () => Promise<FinalResponse | null>;
    /** Let go of what runs; it goes on at the server. */
    release: () => void;
}
