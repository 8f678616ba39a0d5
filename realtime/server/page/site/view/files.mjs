/** Files that are pasted, dropped or chosen, as attachments. */

const MAX_BYTES = 5 * 2 ** 20;
const IMAGES = new Set(["image/png", "image/jpeg", "image/webp", "image/gif"]);
const TEXTS = /^(?:text\/|application\/(?:json|xml|yaml|x-yaml|javascript|typescript|x-sh|toml))/;
const TEXT_NAMES = /\.(?:txt|md|csv|tsv|json|xml|ya?ml|toml|ini|log|py|m?[jt]sx?|c|h|cpp|rs|go|java|rb|php|sh|sql|html?|css)$/i;

/** @import { Attachment } from "../core/requests.mjs" */

/**
 * Throws Error with a key of `strings` as its message for what can't be one.
 *
 * @param {File} file
 * @returns {Promise<Attachment>}
 */
export async function attachmentOf(file) {
  if (file.size > MAX_BYTES) throw new Error("too.big");
  const name = file.name || "image";
  if (IMAGES.has(file.type)) return { kind: "image", name, url: `data:${file.type};base64,${await base64(file)}` };
  if (!TEXTS.test(file.type) && !TEXT_NAMES.test(name)) throw new Error("not.text");
  const text = await file.text();
  if (text.includes("\0")) throw new Error("not.text");
  return { kind: "file", name, url: `data:text/plain;base64,${await base64(new Blob([text]))}` };
}

/** @param {Blob} blob */
async function base64(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
