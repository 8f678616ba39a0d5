/** Two harmless tools that run in this page: they read a clock and do sums, and reach nothing else. */

export const TOOLS = [
  {
    type: "function",
    name: "get_time",
    description: "Tell the date and the time in a time zone.",
    parameters: {
      type: "object",
      properties: { time_zone: { type: "string", description: "IANA name, such as Europe/Rome; empty for the user's" } },
      required: ["time_zone"],
      additionalProperties: false,
    },
  },
  {
    type: "function",
    name: "calculate",
    description: "Work out a sum of numbers with + - * / ^ and brackets.",
    parameters: {
      type: "object",
      properties: { expression: { type: "string", description: "such as (2 + 3) * 4" } },
      required: ["expression"],
      additionalProperties: false,
    },
  },
];

/**
 * Run a call. What goes wrong is told to the model.
 *
 * @param {{ name: string, arguments: string }} call
 * @param {Date} [now]
 */
export function run(call, now = new Date()) {
  try {
    const given = JSON.parse(call.arguments || "{}");
    if (call.name === "get_time") return timeIn(given.time_zone, now);
    if (call.name === "calculate") return String(calculate(String(given.expression)));
    return `There is no tool ${call.name} in this page.`;
  } catch (error) {
    return `Error: ${/** @type {Error} */ (error).message}`;
  }
}

/** @param {string} zone @param {Date} now */
function timeIn(zone, now) {
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long", timeZone: zone || undefined }).format(now);
}

/**
 * The value of a sum; a parser of its own, because a page must not run what a model writes.
 *
 * @param {string} text
 */
export function calculate(text) {
  const tokens = text.match(/\d+(?:\.\d+)?(?:e[+-]?\d+)?|\.\d+|\*\*|[-+*/^()%]|\S/gi) ?? [];
  if (tokens.length > 500) throw new Error("the sum is too long");
  let at = 0;
  /** @returns {number} */
  const atom = () => {
    const token = tokens[at++];
    if (token === "-") return -power();
    if (token === "+") return power();
    if (token === "(") {
      const value = sum();
      if (tokens[at++] !== ")") throw new Error("a bracket is not closed");
      return value;
    }
    const value = Number(token);
    if (token === undefined || Number.isNaN(value)) throw new Error(`a number is missing at ${token ?? "the end"}`);
    return value;
  };
  /** @returns {number} */
  const power = () => {
    const base = atom();
    if (tokens[at] !== "^" && tokens[at] !== "**") return base;
    at++;
    return base ** power();
  };
  const product = () => {
    let value = power();
    while (["*", "/", "%"].includes(tokens[at])) {
      const sign = tokens[at++];
      const other = power();
      value = sign === "*" ? value * other : sign === "/" ? value / other : value % other;
    }
    return value;
  };
  const sum = () => {
    let value = product();
    while (tokens[at] === "+" || tokens[at] === "-") value = tokens[at++] === "+" ? value + product() : value - product();
    return value;
  };
  const value = sum();
  if (at < tokens.length) throw new Error(`${tokens[at]} is out of place`);
  return value;
}
