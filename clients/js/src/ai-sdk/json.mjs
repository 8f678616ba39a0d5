/**
 * What calls and their outputs hold: JSON where it is JSON, else the text.
 *
 * @param {unknown} text
 */
export function parsed(text) {
  try {
    return typeof text === "string" ? JSON.parse(text) : text;
  } catch {
    return text;
  }
}
