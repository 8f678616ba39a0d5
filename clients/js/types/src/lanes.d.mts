/**
 * The lane of a request that the caller has named: the same in every process, as the body of a retry must be.
 *
 * @param {string} requestId
 */
export declare function laneOfRequest(requestId: string): string;
/**
 * Which lane (`stream_id`) a create goes to. A lane runs one response at a time, `response.created` names the lane and
 * not the request, and a server keeps a `store: false` answer only as the last of its lane: so one at a time in a
 * lane, a continuation where its parent is, other work in the lane that was idle longest.
 */
export declare class Lanes {
    #private;
    /**
     * @param {string} prefix
     * @param {number} count
     */
    constructor(prefix: string, count: number);
    /**
     * `held`: the lanes in which the server holds input for what continues a response. That create must go there, whoever
     * the lane belongs to; any other one there has the input given back, so there it goes last.
     *
     * @param {Set<string | null>} busy
     * @param {string | null} previousResponseId
     * @param {Map<string, string | null>} held
     */
    choose(busy: Set<string | null>, previousResponseId: string | null, held: Map<string, string | null>): string | null;
    /**
     * @param {string | null} lane
     * @param {string} responseId
     */
    used(lane: string | null, responseId: string): void;
}
