"use strict";
// Accuracies on the probit, logit and linear scale, and where ticks stand.
const EDGE = 5e-4;

// Inverse of the normal distribution function (Acklam's rational approximation, relative error below 1.2e-9).
function probit(p) {
  const a = [-3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.383577518672690e2, -3.066479806614716e1, 2.506628277459239],
    b = [-5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1, -1.328068155288572e1],
    c = [-7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783],
    d = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416];
  if (p < 0.02425 || p > 1 - 0.02425) {
    const q = Math.sqrt(-2 * Math.log(Math.min(p, 1 - p)));
    const x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) / ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    return p < 0.5 ? x : -x;
  }
  const q = p - 0.5, r = q * q;
  return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q / (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

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
