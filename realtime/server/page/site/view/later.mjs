/** What is loaded when it is first wanted. A page from before the server's update can't find it: it begins anew. */

/**
 * @template T
 * @param {Promise<T>} module
 * @returns {Promise<T>}
 */
const orAnew = (module) => module.catch((error) => (location.reload(), Promise.reject(error)));

export const dialogs = () => orAnew(import("./dialogs.mjs"));
export const drawer = () => orAnew(import("./drawer.mjs"));
