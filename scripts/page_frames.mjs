/**
 * Time what a frame of a growing answer costs, in a page that has loaded the chat's own modules. `scripts/page_frames.py`
 * runs it in Chromium.
 */

const WORDS = "the server numbers every event and a page that comes back asks for what is behind the last one it has shown".split(" ");

/** A text of so many characters: prose, lists, code, tables and formulas, the same at every run. */
export function mixed(length) {
  const words = (from, number) => Array.from({ length: number }, (_, at) => WORDS[(from * 7 + at * 5) % WORDS.length]).join(" ");
  let text = "";
  for (let at = 0; text.length < length; at++) {
    text += `## ${words(at, 4)}\n\n${words(at, 40)}, **${words(at, 3)}** and \`${words(at, 1)}\`.\n\n`;
    text += `- ${words(at, 9)}\n- ${words(at + 1, 7)}\n  - ${words(at + 2, 5)}\n\n`;
    text += `\`\`\`python\ndef f${at}(event):\n${`    print(event, "${words(at, 4)}")  # ${words(at, 3)}\n`.repeat(6)}\`\`\`\n\n`;
    text += `| a | b | c |\n|:--|--:|---|\n${`| ${words(at, 2)} | ${at} | ${words(at + 3, 3)} |\n`.repeat(4)}\n$$x_{${at}} = \\frac{1}{2}$$\n\n`;
  }
  return text.slice(0, length);
}

/** One block of code of so many characters. */
export function oneBlock(length) {
  return `\`\`\`python\n${'print("a line of code", 1 + 2)\n'.repeat(length / 31)}`.slice(0, length);
}

/** The milliseconds of each step. `update` shows the text as it is then; layout is part of it. */
function timed(text, step, root, update) {
  const times = [];
  for (let at = step; at <= text.length; at += step) {
    const begin = performance.now();
    update(text.slice(0, at));
    root.offsetHeight;
    times.push(performance.now() - begin);
  }
  return times;
}

/** Both ways for one text. `every`: only so many of the frames are made anew, which would take minutes else. */
export function compared(MarkdownView, text, { step = 50, every = 2000 } = {}) {
  const root = document.body.appendChild(document.createElement("div"));
  root.className = "prose";
  const view = new MarkdownView(root);
  const patched = timed(text, step, root, (part) => view.update(part, false));
  const begin = performance.now();
  view.update(text, true);
  root.offsetHeight;
  const end = performance.now() - begin;
  const anew = timed(text, every, root, (part) => {
    root.replaceChildren();
    new MarkdownView(root).update(part, false);
  });
  root.remove();
  return { patched: summary(patched), anew: summary(anew), end };
}

function summary(times) {
  const sorted = times.sort((one, other) => one - other);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { median: at(0.5), p99: at(0.99), max: at(1), frames: sorted.length };
}
