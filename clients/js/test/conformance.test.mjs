// The cases of clients/conformance, played by the runner there against this client's driver. The runner is Python.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PYTHON = process.env.PYTHON ?? "python3";

test("the conformance cases", () => {
  const driver = [process.execPath, fileURLToPath(new URL("../conformance.mjs", import.meta.url))];
  const runner = ["-m", "clients.conformance", "--", ...driver];
  const { status, stdout, stderr } = spawnSync(PYTHON, runner, { cwd: ROOT, encoding: "utf8" });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
});
