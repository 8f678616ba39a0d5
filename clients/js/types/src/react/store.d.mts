/**
 * What a component shows, outside of React: told at most once a frame, however fast it changes.
 *
 * @template Snapshot
 */
export declare class Store<Snapshot> {
    #private;
    /** @param {Snapshot} snapshot */
    constructor(snapshot: Snapshot);
    subscribe: (/** @type {() => void} */ listener: () => void) => () => undefined;
    getSnapshot: () => Snapshot;
    /** @param {Partial<Snapshot>} changes */
    set(changes: Partial<Snapshot>): void;
}
