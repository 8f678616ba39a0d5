// The cases of clients/conformance, by this client's adapter.
import { test } from "node:test";

import { CASES, Player } from "../conformance.mjs";

for (const { name, steps, ...options } of CASES) test(name, () => new Player(options).play(steps));
