// The charts of the cost page, drawn with Chart.js from the values beside each canvas. The figures are in a table as well.
"use strict";

const MONEY = { usd: [2, 4], usd_fine: [4, 6] };
const charts = new Map();

function written(value, unit, exact = false) {
  if (value === null || value === undefined) return "none";
  if (unit === "share") return `${(value * 100).toFixed(exact ? 1 : 0)} %`;
  if (unit === "ms") return `${value.toLocaleString("en-GB", { maximumFractionDigits: value < 10 ? 2 : 0 })} ms`;
  if (unit === "count") return value.toLocaleString("en-GB");
  const digits = MONEY[unit][exact ? 1 : 0];
  return `${value < 0 ? "-" : ""}$${Math.abs(value).toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

function colours(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    series: [1, 2, 3, 4, 5, 6].map((number) => colour(`--series-${number}`)),
    grid: colour("--chart-grid"), text: colour("--chart-text"), panel: colour("--chart-panel"),
  };
}

function lines(drawn, palette) {
  const last = drawn.labels.length - 1;
  const soFar = ({ p1DataIndex }) => (drawn.partial && p1DataIndex === last ? [3, 4] : undefined);
  return drawn.series.map((series, number) => ({
    label: series.name, data: series.values, urls: series.urls,
    borderColor: palette.series[number % 6], backgroundColor: palette.series[number % 6],
    borderWidth: 2, borderDash: series.dashed ? [6, 4] : [], segment: { borderDash: soFar },
    pointRadius: drawn.labels.length > 60 ? 0 : 2, pointHoverRadius: 5, tension: 0, spanGaps: false,
  }));
}

function bars(drawn, palette) {
  return drawn.series.map((series, number) => ({
    label: series.name, data: series.values, urls: series.urls,
    backgroundColor: palette.series[number % 6], borderRadius: 3, maxBarThickness: 28,
  }));
}

function addressOf(drawn, series, index) {
  return drawn.series[series]?.urls[index] || drawn.urls[index] || "";
}

function scales(drawn, palette) {
  const lying = drawn.shape === "bars";
  const stacked = drawn.shape === "stack";
  const columns = drawn.shape === "columns";
  const least = Math.min(...drawn.series.flatMap(({ values }) => values.filter((value) => value > 0)));
  const values = {
    type: columns ? "logarithmic" : "linear", beginAtZero: !columns, min: columns ? 10 ** Math.floor(Math.log10(least)) : undefined, stacked, suggestedMax: drawn.unit === "share" ? 1 : undefined,
    grid: { color: palette.grid }, border: { display: false },
    ticks: { color: palette.text, maxTicksLimit: columns ? 8 : 5, precision: drawn.unit === "count" ? 0 : undefined,
      callback: (value) => (columns && !Number.isInteger(Math.log10(value)) ? null : written(value, drawn.unit)) },
  };
  const names = {
    stacked, grid: { display: false }, border: { color: palette.grid },
    ticks: { color: palette.text, maxRotation: columns ? 50 : 0, autoSkip: !lying && !columns, autoSkipPadding: 12,
      callback(value) { const label = this.getLabelForValue(value); return label.length > 20 ? `${label.slice(0, 19)}…` : label; } },
  };
  return lying ? { x: values, y: names } : { x: names, y: values };
}

function options(drawn, palette) {
  const line = drawn.shape === "line";
  return {
    animation: false, responsive: true, maintainAspectRatio: false, indexAxis: drawn.shape === "bars" ? "y" : "x",
    interaction: { mode: drawn.shape === "stack" || drawn.shape === "columns" ? "nearest" : "index", intersect: !line,
      axis: drawn.shape === "bars" ? "y" : "x" },
    scales: scales(drawn, palette),
    plugins: {
      legend: { display: drawn.series.length > 1, position: "bottom", align: "start",
        labels: { color: palette.text, boxWidth: 12, boxHeight: line ? 2 : 12, padding: 14 } },
      tooltip: { callbacks: {
        title: ([item]) => (item ? `${item.label}${drawn.partial && item.dataIndex === drawn.labels.length - 1 ? " (so far)" : ""}` : ""),
        label: (item) => ` ${item.dataset.label}: ${written(item.raw, drawn.unit, true)}`,
      } },
    },
    onHover(event, found) {
      const url = found.length ? addressOf(drawn, found[0].datasetIndex, found[0].index) : "";
      event.native.target.style.cursor = url ? "pointer" : "default";
    },
    onClick(event, found) {
      const url = found.length ? addressOf(drawn, found[0].datasetIndex, found[0].index) : "";
      if (url) window.location.assign(url);
    },
  };
}

function draw(canvas) {
  const drawn = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
  const palette = colours(canvas);
  if (drawn.shape === "bars") canvas.parentElement.style.height = `${Math.max(3, drawn.labels.length) * 30 + 40}px`;
  charts.get(canvas)?.destroy();
  charts.set(canvas, new Chart(canvas, {
    type: drawn.shape === "line" ? "line" : "bar",
    data: { labels: drawn.labels, datasets: drawn.shape === "line" ? lines(drawn, palette) : bars(drawn, palette) },
    options: options(drawn, palette),
  }));
}

function drawAll() {
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  document.querySelectorAll("canvas.cost-chart").forEach(draw);
}

document.addEventListener("DOMContentLoaded", drawAll);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
new MutationObserver(drawAll).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
