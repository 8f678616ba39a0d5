/** 16 hexadecimal digits that nobody else has. Not randomUUID: pages that come over plain HTTP do not have it. */
export function randomName() {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
