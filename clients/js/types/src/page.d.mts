/**
 * What a page is told of its life and of its network. A page that was frozen, hidden or offline may hold a dead socket
 * that looks open; one that goes into the back/forward cache may hold none at all. Returns the undoing; where there is
 * no page, nothing is watched.
 *
 * @param {{ check: () => void, online: () => void, sleep: () => void, wake: () => void }} told `check`: see whether the
 *   socket lives; `online`: the network is back, and what is being opened may never be; `sleep`: nothing runs until
 *   `wake`.
 * @returns {() => void}
 */
export declare function watchPage({ check, online, sleep, wake }: {
    check: () => void;
    online: () => void;
    sleep: () => void;
    wake: () => void;
}): () => void;
