/** AI SDK's `useChat`, and what is made for it, on this client. */

export { RealtimeChatTransport } from "./ai-sdk/transport.mjs";
