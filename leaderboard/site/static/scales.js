"use strict";
// Accuracies on the probit, logit and linear scale, and where ticks stand.
const EDGE = 5e-4;

const SCALES = {
  linear: (p) => p,
  logit: (p) => { const q = Math.min(Math.max(p, EDGE), 1 - EDGE); return Math.log(q / (1 - q)); },
  probit: (p) => probit(Math.min(Math.max(p, EDGE), 1 - EDGE)),
};

const TICKS = [0.1, 0.5, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.9];

// Percentages between two accuracies, as many as fit.
function ticks(scale, low, high, most) {
  const place = SCALES[scale];
  let wanted = TICKS.filter((tick) => tick / 100 >= low && tick / 100 <= high);
  if (wanted.length < 4) {
    const width = 100 * (high - low), step = [0.5, 1, 2, 5, 10].find((one) => width / one <= most) || 20;
    wanted = [];
    for (let tick = Math.ceil(100 * low / step) * step; tick <= 100 * high; tick += step) wanted.push(+tick.toFixed(1));
  }
  const gap = (place(high) - place(low)) / most / 1.6, kept = [];
  for (const tick of wanted) {
    if (kept.every((other) => Math.abs(place(other / 100) - place(tick / 100)) >= gap)) kept.push(tick);
  }
  return kept.map((tick) => ({ value: place(tick / 100), label: `${tick}` }));
}
