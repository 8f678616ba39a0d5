import { RealtimeClient } from "../client.mjs";
import type { ChatTransport, UIMessage } from "ai";
import type { ConnectOptions } from "../client.mjs";
import type { Response } from "../response.mjs";
import type { FinalResponse } from "../track.mjs";
import type { CreateBody } from "../tracks.mjs";
export type Stopped = {
    chatId: string;
    response: FinalResponse;
} | {
    chatId: string;
    error: Error;
};
export type TransportOptions = {
    /**
     * Where the server is. The socket is opened when it is needed first, not before.
     */
    url?: string;
    /**
     * In place of a URL; whoever made it closes it.
     */
    client?: RealtimeClient;
    /**
     * What each create says as well: `model`, `instructions`, `tools`, ...
     */
    create?: Partial<CreateBody>;
    /**
     * Told when the server has confirmed a stop.
     */
    onStop?: (stopped: Stopped) => void;
};
export type Following = {
    chatId: string;
    response: Response | null;
    /**
     * All of it was handed on.
     */
    isOver: boolean;
    /**
     * Resolves when the server has confirmed the stop.
     */
    stopped: Promise<void> | null;
};
/** @import { ChatTransport, UIMessage, UIMessageChunk } from "ai" */
/** @import { ConnectOptions } from "../client.mjs" */
/** @import { Response } from "../response.mjs" */
/** @import { FinalResponse } from "../track.mjs" */
/** @import { CreateBody } from "../tracks.mjs" */
/** @import { Turn } from "./history.mjs" */
/**
 * How a stop ended: with the response as it is kept, or without being confirmed.
 *
 * @typedef {{ chatId: string, response: FinalResponse } | { chatId: string, error: Error }} Stopped
 */
/**
 * @typedef {object} TransportOptions
 * @property {string} [url] Where the server is. The socket is opened when it is needed first, not before.
 * @property {RealtimeClient} [client] In place of a URL; whoever made it closes it.
 * @property {Partial<CreateBody>} [create] What each create says as well: `model`, `instructions`, `tools`, ...
 * @property {(stopped: Stopped) => void} [onStop] Told when the server has confirmed a stop.
 */
/**
 * One answer that a chat follows.
 *
 * @typedef {object} Following
 * @property {string} chatId
 * @property {Response | null} response
 * @property {boolean} isOver All of it was handed on.
 * @property {Promise<void> | null} stopped Resolves when the server has confirmed the stop.
 */
/**
 * A transport for `useChat`, with this server alone: a stop is a cancel that the server confirms, and what it keeps ends
 * with what was handed on; a lost socket does not show; a reload goes on with the running answer, which is found by the
 * id of the chat, also on another device.
 *
 * Each answer's message names its response, and the next turn continues that: to edit or regenerate is to fork.
 *
 * @template {UIMessage} [UI_MESSAGE=UIMessage]
 * @implements {ChatTransport<UI_MESSAGE>}
 */
export declare class RealtimeChatTransport<UI_MESSAGE extends UIMessage = UIMessage> implements ChatTransport<UI_MESSAGE> {
    #private;
    /** A resumed stream begins with `start` and the id that the message has. */
    resumeStreamIsReplay: true;
    /** @param {TransportOptions & ConnectOptions} options */
    constructor({ url, client, create, onStop, ...options }: TransportOptions & ConnectOptions);
    /** The connection: its `state` is what a banner shows. */
    get client(): RealtimeClient;
    /**
     * @param {Parameters<ChatTransport<UI_MESSAGE>["sendMessages"]>[0]} options
     * @returns {ReturnType<ChatTransport<UI_MESSAGE>["sendMessages"]>}
     */
    sendMessages({ chatId, messages, abortSignal, body }: Parameters<ChatTransport<UI_MESSAGE>["sendMessages"]>[0]): ReturnType<ChatTransport<UI_MESSAGE>["sendMessages"]>;
    /**
     * @param {Parameters<ChatTransport<UI_MESSAGE>["reconnectToStream"]>[0]} options
     * @returns {ReturnType<ChatTransport<UI_MESSAGE>["reconnectToStream"]>}
     */
    reconnectToStream({ chatId, abortSignal }: Parameters<ChatTransport<UI_MESSAGE>["reconnectToStream"]>[0]): ReturnType<ChatTransport<UI_MESSAGE>["reconnectToStream"]>;
    /**
     * What was said in a chat, for `useChat({ messages })` when a page opens. Of an answer that runs there is nothing yet:
     * `resume` brings it.
     *
     * @param {string} chatId
     * @returns {Promise<UI_MESSAGE[]>}
     */
    loadMessages(chatId: string): Promise<UI_MESSAGE[]>;
    /** Close the connection, if it was made here. */
    close(): void;
}
