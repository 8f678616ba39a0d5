// OpenAI's SDK for JavaScript and the AI SDK, unmodified, over chat completions: node chat_completions.mjs BASE_URL
// Says `ok NAME` for each part; ends with an exception at the first thing that is wrong.

import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const baseURL = process.argv[2];
const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0 });
const base = { model: "starter", temperature: 0 };
const count = { ...base, messages: [{ role: "user", content: "count to 5" }] };
const question = "What is the weather in Paris?";
const City = z.object({ city: z.string() });
const Mood = z.object({ mood: z.enum(["good", "bad"]) });
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "Weather in a city",
      parse: JSON.parse,
      function: ({ city }) => `${city}: sunny, 21 degrees`,
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];
const model = createOpenAICompatible({
  name: "realtime", baseURL, apiKey: "unused", includeUsage: true, supportsStructuredOutputs: true,
})("starter");
const asked = { model, temperature: 0, maxRetries: 0 };

const parts = {
  async "openai: a completion and a stream of it"() {
    const whole = await client.chat.completions.create(count);
    assert.equal(whole.choices[0].message.content, "1, 2, 3, 4, 5.");
    const stream = client.chat.completions.stream({ ...count, stream_options: { include_usage: true } });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].message.content, "1, 2, 3, 4, 5.");
    assert.equal(final.usage.total_tokens, whole.usage.total_tokens);
    assert.equal((await client.responses.retrieve(whole.id)).output_text, "1, 2, 3, 4, 5.");
  },

  async "openai: a format by its helper"() {
    const response_format = zodResponseFormat(Mood, "mood");
    const parsed = await client.chat.completions.parse({ ...count, response_format });
    Mood.parse(parsed.choices[0].message.parsed);
  },

  async "openai: tools are run by its helper"() {
    const runner = client.chat.completions.runTools({ ...base, tools, messages: [{ role: "user", content: question }] });
    assert.match(await runner.finalContent(), /21 degrees/);
  },

  async "openai: refusals"() {
    const wrong = client.chat.completions.create({ ...count, n: 2, stream: true });
    await assert.rejects(wrong, (error) => error.status === 400 && error.param === "n");
  },

  async "ai: text and a stream of it"() {
    const whole = await generateText({ ...asked, prompt: "count to 5" });
    const stream = streamText({ ...asked, prompt: "count to 5" });
    let text = "";
    for await (const delta of stream.textStream) text += delta;
    assert.deepEqual([text, await stream.finishReason], [whole.text, whole.finishReason]);
    assert.deepEqual([text, whole.finishReason], ["1, 2, 3, 4, 5.", "stop"]);
    assert.equal((await stream.usage).totalTokens, whole.usage.totalTokens);
  },

  async "ai: a tool loop"() {
    const execute = async ({ city }) => `${city}: sunny, 21 degrees`;
    const get_weather = tool({ description: "Weather in a city", inputSchema: City, execute });
    const { text } = await generateText({ ...asked, prompt: question, tools: { get_weather }, stopWhen: stepCountIs(3) });
    assert.match(text, /21 degrees/);
  },

  async "ai: an object"() {
    const { output } = await generateText({ ...asked, prompt: "How are you?", output: Output.object({ schema: Mood }) });
    Mood.parse(output);
  },
};

for (const [name, part] of Object.entries(parts)) {
  await part();
  console.log(`ok ${name}`);
}
