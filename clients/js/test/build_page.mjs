// Run by tests/clients/test_js_browser.py: bundle use_chat_page.jsx of a folder, as an application's build would.
import { build } from "esbuild";

const entryPoints = ["use_chat_page.jsx"];
await build({ absWorkingDir: process.argv[2], entryPoints, bundle: true, format: "esm", jsx: "automatic", outfile: "page.js" });
