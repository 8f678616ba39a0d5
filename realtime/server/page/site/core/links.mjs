/** Which addresses a model's text may lead to. Pure. */

const SCHEMES = new Set(["http:", "https:", "mailto:"]);
const IMAGE = /^data:image\/(?:png|jpeg|gif|webp);base64,[a-z0-9+/=\s]+$/i;

/**
 * An address that may be a link, else null: whole ones only, so none leads back into this server.
 *
 * @param {string} address
 */
export function safeLink(address) {
  try {
    const url = new URL(address);
    return SCHEMES.has(url.protocol) && !url.username && !url.password ? url.href : null;
  } catch {
    return null;
  }
}

/** @param {string} address */
export function inlineImage(address) {
  return IMAGE.test(address) ? address : null;
}

/** @param {string} address */
export function hostOf(address) {
  const { host, pathname, protocol } = new URL(address);
  return protocol === "mailto:" ? pathname : host;
}

/**
 * Whether a link's text names another place than that to which it leads.
 *
 * @param {string} text
 * @param {string} address
 */
export function misleads(text, address) {
  const named = /(?:^|[\s/@])((?:[\p{L}\d-]+\.)+\p{L}{2,})(?=$|[\s/:?#])/u.exec(text.trim());
  if (!named) return false;
  const host = hostOf(address).toLowerCase();
  const shown = named[1].toLowerCase();
  return host !== shown && host !== `www.${shown}` && !host.endsWith(`.${shown}`) && !host.endsWith(`@${shown}`);
}
