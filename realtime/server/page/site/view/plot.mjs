import { t } from "./strings.mjs";

/** Times between tokens, drawn: one bar each, the newest at the end; the time to the first token as a line of its own. */

const MAX_BARS = 160;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("../core/numbers.mjs").Numbers} numbers
 */
export function drawPlot(canvas, { gaps, firstTokenMs }) {
  const pen = canvas.getContext("2d");
  if (pen === null) return;
  const { width, height } = canvas;
  const style = getComputedStyle(canvas);
  const bars = gaps.slice(-MAX_BARS);
  const greatest = Math.max(1, ...bars);
  const step = width / MAX_BARS;
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = style.color;
  bars.forEach((gap, at) => {
    const size = Math.max(2, (height - 26) * (gap / greatest));
    pen.fillRect(at * step, height - size, Math.max(1, step - 1.5), size);
  });
  pen.fillStyle = style.caretColor; // of a canvas, nobody sees it otherwise
  pen.font = "18px system-ui, sans-serif";
  pen.fillText(t("plot.max", { time: `${Math.round(greatest)} ms` }), 2, 18);
  if (firstTokenMs !== null) {
    const text = `${t("first")} ${Math.round(firstTokenMs)} ms`;
    pen.fillText(text, width - pen.measureText(text).width - 2, 18);
  }
}
