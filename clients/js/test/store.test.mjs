// What the hooks stand on, without React.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Store } from "../src/react/store.mjs";

test("however fast it changes, it is told once a frame", async () => {
  const store = new Store({ text: "", count: 0 });
  const seen = [];
  const told = new Promise((resolve) => {
    store.subscribe(() => {
      seen.push(store.getSnapshot());
      resolve();
    });
  });
  for (let count = 1; count <= 100; count++) store.set({ count });
  assert.deepEqual(store.getSnapshot(), { text: "", count: 100 });
  await told;
  assert.deepEqual(seen, [{ text: "", count: 100 }]);
});

test("who has left is not told", async () => {
  const store = new Store({ text: "" });
  store.subscribe(() => assert.fail())();
  store.set({ text: "a" });
  await new Promise((resolve) => store.subscribe(resolve));
});
