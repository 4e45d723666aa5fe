"use strict";
// Accuracy against severity, one curve for each corruption.
(() => {
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C"];
  const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]], SHAPES = ["circle", "rect", "triangle", "rectRot", "cross"];
  const curves = JSON.parse(document.getElementById("curve-data").textContent);
  let chart = null;
  function draw() {
    if (chart) chart.destroy();
    const colour = ink("--ink");
    const axis = (text) => ({ title: { display: true, text, color: colour }, ticks: { color: colour }, grid: { color: ink("--rule") } });
    chart = new Chart(document.getElementById("curves"), {
      type: "scatter",
      data: { datasets: curves.map((curve, number) => ({
        label: curve.name, showLine: true, borderColor: COLOURS[number % COLOURS.length], backgroundColor: COLOURS[number % COLOURS.length],
        borderDash: DASHES[Math.floor(number / COLOURS.length) % DASHES.length], pointStyle: SHAPES[number % SHAPES.length], borderWidth: 1.5,
        data: curve.points.map(([x, y, low, high]) => ({ x, y, low, high })),
      })) },
      options: {
        animation: false, maintainAspectRatio: false,
        scales: { x: { ...axis("severity (0: reference)"), min: 0, max: 5, ticks: { color: colour, stepSize: 1 } }, y: axis("accuracy (%)") },
        plugins: { legend: { labels: { color: colour, usePointStyle: true } }, tooltip: { callbacks: { label: ({ dataset, raw }) => `${dataset.label}, severity ${raw.x}: ${raw.y.toFixed(1)} [${raw.low.toFixed(1)}, ${raw.high.toFixed(1)}]` } } },
      },
    });
  }
  draw();
  addEventListener("theme", draw);
})();
