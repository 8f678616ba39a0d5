import { Page } from "./app/page.mjs";
import { Server } from "./app/server.mjs";
import { Storage } from "./app/storage.mjs";
import { setLanguage } from "./view/strings.mjs";

/** The beginning: settings, then the page, then the server. */

const storage = new Storage();
await setLanguage(storage.settings.language);
new Page(storage, new Server(storage)).start();
