// AI SDK's `useChat` without a server of your own: `npm install ai @ai-sdk/react react ./clients/js`.
import { useChat } from "@ai-sdk/react";
import { RealtimeChatTransport } from "realtime-llm-client/ai-sdk";
import { useConnectionState } from "realtime-llm-client/react";
import { useEffect, useState } from "react";

const transport = new RealtimeChatTransport({
  url: "ws://127.0.0.1:8000/v1/responses",
  apiKey: async () => (await fetch("/key")).text(), // asked for at every handshake, so it may live for a minute
  create: { instructions: "Answer in one paragraph." },
  onStop: (stopped) => console.log("response" in stopped ? stopped.response.cancel : stopped.error), // the receipt
});

/** What was said comes from the server, and an answer that runs goes on, also after a reload. */
export function Chat({ id }: { id: string }) {
  const [isLoaded, setLoaded] = useState(false);
  const connection = useConnectionState(transport.client);
  const { messages, setMessages, sendMessage, regenerate, resumeStream, status, stop } = useChat({ id, transport });
  useEffect(() => {
    let isCurrent = true; // what comes after the component has gone, or another chat has come, must not be shown
    void transport.loadMessages(id).then((said) => {
      if (!isCurrent) return;
      setMessages(said);
      setLoaded(true);
      return resumeStream();
    });
    return () => void (isCurrent = false);
  }, [id]);
  const isBusy = status === "submitted" || status === "streaming";
  return (
    <main>
      {connection === "reconnecting" && <p role="status">reconnecting ...</p>}
      {messages.map((message) => (
        <p key={message.id}>{message.parts.map((part) => (part.type === "text" ? part.text : ""))}</p>
      ))}
      <footer style={{ position: "sticky", bottom: 0, background: "Canvas" }}>
        <button disabled={!isBusy} onClick={() => void stop()}>Stop</button>
        <button disabled={isBusy} onClick={() => void regenerate()}>Again</button>
        <form action={(form) => void sendMessage({ text: String(form.get("text")) })}>
          <input name="text" disabled={!isLoaded || isBusy} />
        </form>
      </footer>
    </main>
  );
}
