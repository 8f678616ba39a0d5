import { answerOf, itemOf, textOf } from "../core/answer.mjs";

/** One response as the server keeps it. */

const PAGE = 100; // items

/**
 * What it was asked, oldest first.
 *
 * @param {any} responses
 * @param {string} id
 */
export async function inputsOf(responses, id) {
  const items = [];
  for (let after; ; ) {
    const page = /** @type {any} */ (await responses.inputItems(id, { order: "asc", limit: PAGE, ...(after ? { after } : {}) }));
    items.push(...page.data);
    if (!page.has_more) return items;
    after = page.last_id;
  }
}

/**
 * Question and answer.
 *
 * @param {any} responses
 * @param {string} id
 */
export async function fetchTurn(responses, id) {
  const [inputs, response] = await Promise.all([inputsOf(responses, id), responses.retrieve(id)]);
  return { inputs, answer: answerOf(response) };
}

/**
 * The words of a turn, for a search.
 *
 * @param {{ inputs: any[], answer: import("../core/answer.mjs").Answer }} turn
 */
export function wordsOfTurn({ inputs, answer }) {
  const said = [...inputs.map((item) => itemOf(item, true)), ...answer.items].filter(({ type }) => type === "message");
  return said.map(textOf).join("\n");
}
