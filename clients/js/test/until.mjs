/** Wait until it is so. Polled: what is waited for tells components, not us. */
export async function until(condition) {
  const { stack } = new Error("this never came to be");
  for (const deadline = Date.now() + 30_000; !condition(); ) {
    if (Date.now() > deadline) throw Object.assign(new Error(), { stack });
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
