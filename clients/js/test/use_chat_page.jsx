// The page of tests/clients/test_js_browser.py: examples/use_chat.tsx, as an application would show it, and leave it.
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

import { Chat } from "./use_chat";

function Application() {
  const [isHere, setHere] = useState(true);
  return (
    <>
      <nav>
        <button onClick={() => setHere(!isHere)}>{isHere ? "Leave" : "Return"}</button>
      </nav>
      {isHere && <Chat id={location.hash.slice(1)} />}
    </>
  );
}

createRoot(document.querySelector("#root")).render(
  <StrictMode>
    <Application />
  </StrictMode>,
);
