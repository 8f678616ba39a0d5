/** What was said in a chat, as AI SDK's messages, from the responses that the server keeps. */
import type { UIMessage } from "ai";
import type { Responses } from "../responses.mjs";
/**
 * The branch that ends with the newest response, without answers that run.
 *
 * @param {Responses} responses
 * @param {Record<string, string>} metadata
 * @returns {Promise<UIMessage[]>}
 */
export declare function messagesOf(responses: Responses, metadata: Record<string, string>): Promise<UIMessage[]>;
