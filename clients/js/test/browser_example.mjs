// Run by tests/clients/test_js_pages.py with the URL of a real server: examples/browser.mjs with as much of a page as
// it needs, stopped, and reloaded in the middle of an answer.
import assert from "node:assert/strict";

import { WebSocket } from "ws";

import { until } from "./until.mjs";

const [url, story, long] = process.argv.slice(2);
const storage = new Map();
const sockets = [];
class Watched extends WebSocket {
  constructor(...args) {
    super(...args);
    sockets.push(this);
  }
}

class Element extends EventTarget {
  textContent = "";
  value = "";
  disabled = true;
  children = [];

  append(child) {
    this.children.push(child);
  }
}

/** Load the page; `?n` makes the module run anew. */
async function load(n) {
  const elements = new Map();
  const querySelector = (name) => elements.get(name) ?? elements.set(name, new Element()).get(name);
  globalThis.document = Object.assign(new EventTarget(), { querySelector, createElement: () => new Element() });
  globalThis.location = { search: `?url=${encodeURIComponent(url)}`, href: "http://127.0.0.1/" };
  globalThis.sessionStorage = { getItem: (key) => storage.get(key) ?? null, setItem: (key, text) => storage.set(key, text) };
  globalThis.WebSocket = Watched;
  const loaded = import(`../../../examples/browser.mjs?${n}`);
  const page = {
    loaded,
    stop: querySelector("#stop"),
    lines: () => querySelector("#log").children.map(({ textContent }) => textContent),
    send(text) {
      querySelector("input").value = text;
      querySelector("form").dispatchEvent(new Event("submit", { cancelable: true }));
    },
  };
  return page;
}

const first = await load(1);
await first.loaded;
first.send("hi");
await until(() => first.lines()[1] === story);
await until(() => JSON.parse(storage.get("chat")).last !== null);
first.send("endless");
await until(() => first.lines()[3]?.length > 20);
first.stop.onclick();
await until(() => JSON.parse(storage.get("chat")).lines.length === 4);
assert.equal(first.lines()[3], JSON.parse(storage.get("chat")).lines[3]);
first.send("long");
await until(() => first.lines()[5]?.length > 20);
const saved = storage.get("chat");
sockets.at(-1).terminate(); // the page is gone, and with it what it would have written
const second = await load(2);
storage.set("chat", saved);
await second.loaded;
assert.deepEqual(second.lines().slice(0, 3), ["hi", story, "endless"]);
assert.deepEqual(second.lines().slice(4), ["long", long]);
process.exit(0); // the first page still follows its answer
