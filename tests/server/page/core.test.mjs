import assert from "node:assert/strict";
import test from "node:test";
import { answerOf, apply, newAnswer, textOf } from "../../../realtime/server/page/site/core/answer.mjs";
import { BlockStream } from "../../../realtime/server/page/site/core/blocks.mjs";
import { chatsOf, titleOf } from "../../../realtime/server/page/site/core/chats.mjs";
import { misleads, safeLink } from "../../../realtime/server/page/site/core/links.mjs";
import { lex, nodesOf } from "../../../realtime/server/page/site/core/markdown.mjs";
import { Numbers } from "../../../realtime/server/page/site/core/numbers.mjs";
import { repaired } from "../../../realtime/server/page/site/core/repair.mjs";
import { callsOf, createBody, decisionOn, userMessage } from "../../../realtime/server/page/site/core/requests.mjs";
import { excerpt, search, wordsOf } from "../../../realtime/server/page/site/core/search.mjs";
import { exported, imported, restoring } from "../../../realtime/server/page/site/core/transfer.mjs";
import { Tree } from "../../../realtime/server/page/site/core/tree.mjs";
import { calculate, run } from "../../../realtime/server/page/site/app/tools.mjs";
import { ATTACKS } from "./attacks.mjs";

const entry = (id, previous_response_id, chat_input = id) => ({ id, previous_response_id, metadata: { chat_input }, status: "completed", created_at: 0 });
const markdown = (text) => nodesOf(lex(text));

function* elements(nodes) {
  for (const node of nodes) {
    if (typeof node === "string") continue;
    yield node;
    yield* elements(node.children);
  }
}

// Markdown

const SAMPLE = [
  "# Title\n\n", "A **bold** word, `code`, ~~no~~ and a [link](https://a.example/x).\n\n", "- one\n- two\n\n  more\n\n",
  "1. a\n2. b\n   - c\n\n", "```js\nlet a = 1;\n\n// two\n```\n\n", "| a | b |\n|:--|--:|\n| 1 | 2 |\n\n", "> said\n> more\n\n",
  "Setext\n======\n\n", "$$\nx^2\n$$\n\n", "$a$ costs $5 and $6\n\n", "<b>raw</b> <!-- no -->\n\n", "    indented\n\n", "~~~\nopen\n\n",
  "see [ref] and [other][ref]\n\n", "[ref]: https://r.example\n\n", "line\r\nwith\rreturns\n", "***\n\n", "text\n| not | a table\n\n", "![i](https://x.example/i)\n\n",
]; // prettier-ignore

test("a text that grows is at its end what it would be at once, wherever it was cut", () => {
  let seed = 1;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 150; round++) {
    const text = Array.from({ length: 1 + random(12) }, () => SAMPLE[random(SAMPLE.length)]).join("");
    const stream = new BlockStream();
    const shown = [];
    for (let at = 0; at < text.length; ) {
      at = Math.min(text.length, at + 1 + random(24));
      const { keep, settled } = stream.update(text.slice(0, at), at === text.length);
      shown.splice(keep);
      shown.push(...settled);
    }
    assert.deepEqual(shown.flat(), markdown(text), text);
  }
});

test("at every moment a text that grows is shown like one that came at once", () => {
  const parts = ["```py\n", "a\n", "\n", "``", "`", " ```\n", "~~~ ", "~~~~\n", "    ", "b c", "text\n\n", "\u2028", "- ", "```` x\n", "\r"];
  const now = ({ settled, tail }) => [...settled.flat(), ...tail];
  let seed = 7;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 300; round++) {
    const stream = new BlockStream();
    const shown = [];
    for (let text = ""; text.length < 60; ) {
      text += parts[random(parts.length)];
      const { keep, settled, tail } = stream.update(text, false);
      shown.splice(keep);
      shown.push(...settled);
      assert.deepEqual([...shown.flat(), ...tail], now(new BlockStream().update(text, false)), JSON.stringify(text));
    }
  }
});

test("code that is open is not read again, and settled when its fence is closed", () => {
  const stream = new BlockStream();
  const text = "```py\nprint(1)\n";
  stream.update(text, false);
  const [node] = stream.update(`${text}print(2)\n\n`, false).tail;
  assert.deepEqual(node, { tag: "code-block", attrs: { lang: "py", text: "print(1)\nprint(2)\n\n" }, children: [] });
  assert.deepEqual(stream.update(`${text}print(2)\n\n\`\`\`\n\n`, false).settled.length, 1);
});

test("settled blocks are not read again, and a cut text loses what it lacks", () => {
  const stream = new BlockStream();
  const first = stream.update("one\n\ntwo\n\nthree", false);
  assert.equal(first.settled.length, 2); // the first and the space behind it: the second may still go on
  const second = stream.update("one\n\ntwo\n\nthree and more", false);
  assert.deepEqual([second.keep, second.settled], [2, []]);
  assert.deepEqual(second.tail[1].children, ["three and more"]);
  const cut = stream.update("one\n\ntw", true);
  assert.equal(cut.keep <= 2, true);
  assert.deepEqual(cut.tail, []);
});

test("open marks are closed while their end has not come", () => {
  assert.equal(repaired("a **bo"), "a **bo**");
  assert.equal(repaired("a *it"), "a *it*");
  assert.equal(repaired("use `co"), "use `co`");
  assert.equal(repaired("a [link](https://ex"), "a link");
  assert.equal(repaired("a **"), "a ");
  assert.equal(repaired("2 * 3"), "2 * 3");
  assert.equal(repaired("```js\nlet **"), "```js\nlet **");
});

test("formulas are found, money is not", () => {
  const found = (text) => [...elements(markdown(text))].filter(({ tag }) => tag === "math").map(({ attrs }) => attrs.text);
  assert.deepEqual(found("$x$ and \\(y\\) and $$z$$"), ["x", "y", "z"]);
  assert.deepEqual(found("\\[\na\n\\]"), ["a"]);
  assert.deepEqual(found("it costs $5, or $6 and `$x$`"), []);
});

test("no attack becomes more than text", () => {
  const TAGS = new Set(["p", "a", "span", "strong", "em", "del", "code", "code-block", "math", "br", "hr", "img", "ul", "ol", "li", "blockquote",
    "table", "thead", "tbody", "tr", "th", "td", "h3", "h4", "h5", "h6"]); // prettier-ignore
  for (const attack of ATTACKS) {
    for (const { tag, attrs } of elements(markdown(attack))) {
      assert.ok(TAGS.has(tag), `${tag} of ${attack}`);
      assert.ok(Object.keys(attrs).every((name) => /^(?:class|href|title|target|rel|src|alt|align|start|lang|text|display)$/.test(name)), attack);
      if (tag === "a") assert.match(attrs.href, /^(?:https?:\/\/|mailto:)/, attack);
      if (tag === "a") assert.match(attrs.rel, /noopener/);
      if (tag === "img") assert.match(attrs.src, /^data:image\/(?:png|jpeg|gif|webp);base64,/, attack);
    }
  }
});

test("links lead to whole addresses only, and say so when they mislead", () => {
  assert.equal(safeLink("https://a.example/b?c"), "https://a.example/b?c");
  for (const bad of ["javascript:alert(1)", " javascript:x", "data:text/html,x", "vbscript:x", "/v1/responses", "//x.example", "https://user:pw@x.example", "blob:x"]) {
    assert.equal(safeLink(bad), null, bad);
  }
  assert.equal(misleads("https://bank.example", "https://thief.example/bank.example"), true);
  assert.equal(misleads("bank.example", "https://www.bank.example/x"), false);
  assert.equal(misleads("click here", "https://thief.example"), false);
});

// answers

const created = { type: "response.created", sequence_number: 0, epoch: "e", response: { id: "r", status: "in_progress" } };
const added = { type: "response.output_item.added", sequence_number: 1, item: { id: "m", type: "message", content: [], status: "in_progress" } };
const delta = (number, text) => ({ type: "response.output_text.delta", sequence_number: number, item_id: "m", content_index: 0, delta: text });

test("an answer is what its events say, merged or not, and what the server keeps in the end", () => {
  const one = newAnswer("r");
  for (const event of [created, added, delta(2, "Hel"), delta(3, "lo")]) apply(one, event);
  const other = newAnswer("r");
  for (const event of [created, added, { ...delta(3, "Hello"), first_sequence_number: 2 }]) apply(other, event);
  assert.deepEqual(one, other);
  assert.deepEqual([textOf(one.items[0]), one.tip, one.epoch], ["Hello", 3, "e"]);
  const kept = JSON.parse(JSON.stringify(one)); // as over a reload
  const output = [{ id: "m", type: "message", status: "incomplete", content: [{ type: "output_text", text: "Hel" }] }];
  const response = { id: "r", status: "cancelled", output, cancel: { tokens_generated: 2 }, truncated: { through: 2 } };
  apply(kept, { type: "response.incomplete", sequence_number: 4, done: true, response });
  assert.deepEqual([textOf(kept.items[0]), kept.over, kept.status, kept.receipt.tokens_generated], ["Hel", true, "cancelled", 2]);
  assert.equal(textOf(answerOf(response).items[0]), "Hel");
});

test("calls wait until they are answered", () => {
  const call = { id: "f", type: "function_call", call_id: "c", name: "calculate", arguments: "{}", status: "completed" };
  const items = answerOf({ id: "r", status: "completed", output: [call] }).items;
  assert.equal(callsOf(items).length, 1);
  assert.equal(callsOf([...items, { ...items[0], type: "function_call_output", raw: { call_id: "c" } }]).length, 0);
});

// branches

test("branches: the same question answered again, another question, and the way to the newest end", () => {
  const tree = new Tree([entry("a", null), entry("b", "a"), entry("b2", "a", "b"), entry("c", "a"), entry("d", "b2")]);
  assert.deepEqual(tree.path("d").map(({ id }) => id), ["a", "b2", "d"]);
  assert.deepEqual(tree.variants("b2"), { questions: ["b2", "c"], answers: ["b", "b2"] });
  assert.deepEqual(tree.variants("c"), { questions: ["b2", "c"], answers: ["c"] });
  assert.equal(tree.leafBelow("a"), "c");
  assert.equal(tree.leafBelow("b2"), "d");
  assert.deepEqual(tree.variants("a"), { questions: ["a"], answers: ["a"] });
  assert.deepEqual(new Tree([entry("x", "gone")]).path("x").length, 1);
  assert.deepEqual(new Tree([entry("x", "y"), entry("y", "x")]).path("x").length, 2); // a circle ends
});

test("chats are listed by their newest response, under the name that they were given", () => {
  const response = (id, chat_id, chat_title, status = "completed") => ({ id, metadata: { chat_id, chat_title }, status, created_at: 1, previous_response_id: null });
  const chats = chatsOf([response("3", "b", "Bees", "in_progress"), response("2", "a", "Ants"), response("1", "b", "Bees")], new Map([["a", "Anteaters"]]));
  assert.deepEqual(chats.map(({ id, title, running }) => [id, title, running]), [["b", "Bees", true], ["a", "Anteaters", false]]);
  assert.deepEqual(search(chats, "ANT eat").map(({ id }) => id), ["a"]);
  assert.deepEqual(search(chats, "nowhere", new Map([["b", {}]])).map(({ id }) => id), ["b"]);
  assert.equal([...titleOf("😀".repeat(200))].length, 80);
});

test("an export comes back as the same branches", () => {
  const message = userMessage("hi", [{ kind: "file", name: "a.txt", url: "data:text/plain;base64,YQ==" }]);
  const responses = [{ id: "a", previous_response_id: null, metadata: { chat_input: "q" }, items: [message, { id: "rs_1", type: "reasoning", encrypted_content: "x", content: [] }] }];
  const [chat] = imported(exported([{ id: "old", title: "T", responses }]));
  const body = restoring(chat.responses[0], { chatId: "new", title: chat.title, parentId: null });
  assert.deepEqual(body.input[0], message);
  assert.deepEqual(Object.keys(body.input[1]).sort(), ["content", "summary", "type"]);
  assert.equal(body.generate, false);
  assert.deepEqual(body.metadata, { realtime_ui: "chat", chat_id: "new", chat_title: "T", chat_input: "q" });
  assert.throws(() => imported("{}"));
});

test("a hit shows what is around it, and all words have to be in the turn", () => {
  const said = `${"Long ago and far away, ".repeat(5)}the Fox\njumps over`;
  const found = excerpt(said, wordsOf("fox OVER"));
  assert.deepEqual([found.match, found.after], ["Fox", " jumps over"]);
  assert.match(found.before, /^… .{10,36} the $/);
  assert.deepEqual(excerpt("a fox", ["a"]), { before: "", match: "a", after: " fox" });
  assert.equal(excerpt("a fox", wordsOf("fox dog")), null);
  assert.equal(excerpt("a fox", []), null);
});

test("what was said to a request for approval", () => {
  const turns = [{ inputs: [{ type: "message" }] }, { inputs: [{ type: "mcp_approval_response", approval_request_id: "r", approve: false }] }];
  assert.deepEqual([decisionOn("r", turns), decisionOn("other", turns)], [false, null]);
});

test("a request says only what was set", () => {
  const turn = { chatId: "c", questionId: "q", parentId: null, input: [], title: "T", requestId: "r" };
  const plain = createBody(turn, { instructions: " ", temperature: "", effort: "", length: "", tools: false, mcp: "" }, [{ name: "x" }]);
  assert.ok(!("temperature" in plain || "max_output_tokens" in plain || "tools" in plain || "instructions" in plain || "reasoning" in plain));
  const full = createBody({ ...turn, step: "tool" }, { instructions: "Be kind", temperature: "0.5", effort: "low", length: "40", tools: true, mcp: "weather, " }, [{ name: "x" }]);
  assert.equal(full.max_output_tokens, 40);
  assert.deepEqual([full.temperature, full.reasoning, full.tools.length, full.metadata.chat_step], [0.5, { effort: "low" }, 2, "tool"]);
});

test("numbers", () => {
  const numbers = new Numbers();
  numbers.start(100);
  numbers.take({ type: "response.created", sequence_number: 0 }, 110);
  for (const at of [150, 160, 190]) numbers.take({ type: "response.output_text.delta", sequence_number: 1 }, at);
  assert.deepEqual([numbers.firstTokenMs, numbers.gaps, numbers.perSecond], [50, [10, 30], 50]);
  assert.deepEqual([numbers.gapAt(0.5), numbers.gapAt(1), numbers.numEvents], [30, 30, 4]);
});

test("the page's tools count and tell the time, and reach nothing else", () => {
  assert.equal(calculate("2 + 3 * (4 - 1) ^ 2 / -3"), -7);
  for (const bad of ["", "2 +", "(1", "alert(1)", "1 2", "constructor", "1+".repeat(600)]) assert.throws(() => calculate(bad), bad);
  assert.equal(run({ name: "calculate", arguments: '{"expression": "6*7"}' }), "42");
  assert.match(run({ name: "calculate", arguments: "no json" }), /^Error/);
  assert.match(run({ name: "get_time", arguments: '{"time_zone": "UTC"}' }, new Date(0)), /1 January 1970/);
  assert.match(run({ name: "fetch", arguments: "{}" }), /no tool/);
});
