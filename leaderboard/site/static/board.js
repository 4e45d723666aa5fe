"use strict";
// The overview of a suite: a table to sort, filter and search, and the scatter; the address holds the state.
const data = window.BOARD;
const PAGE = 50, SHOWN = 8;
const SHAPES = { o: "circle", s: "rect", D: "rectRot", "^": "triangle", v: "triangle", P: "cross", ".": "circle" };
const $ = (id) => document.getElementById(id);

const rows = data.rows.map(([id, name, family, training, source, tier, status, rank, cells]) => ({
  id, name, family: data.families[family], training: training.map((one) => data.training[one]),
  source: data.sources[source], tier: data.tiers[tier], status, rank,
  cells: new Map(cells.map(([column, accuracy, low, high, effective]) => [column, { accuracy, low, high, effective }])),
}));
for (const row of rows) row.text = [row.name, row.source, ...row.training].join(" ").toLowerCase();

const held = (column) => rows.reduce((sum, row) => sum + row.cells.has(column), 0);
const shifted = data.shifts.map((shift, column) => ({ ...shift, column, rows: held(column) })).filter((one) => one.reference !== null && one.reference !== undefined);
// Of several references only the one that most models have is a column unless asked for.
const references = data.shifts.map((_, column) => column).filter((column) => data.shifts[column].reference === null);
const mainReference = [...references].sort((a, b) => held(b) - held(a)).slice(0, 1);
const usual = [...shifted].filter((one) => one.kind !== "corruption").sort((a, b) => b.rows - a.rows).slice(0, SHOWN).map((one) => one.column);

// Families that squeeze the others into a corner; a click on the legend shows them.
const hidden = new Set(["unclassified", "low-accuracy"].filter((name) => rows.some((row) => row.family.name !== name)));

// The first view shows the shift that has the best line, among those that most models have.
const strength = (one) => [one.kind !== "corruption" && one.rows > 0.5 * Math.max(...shifted.map((other) => other.rows)) ? 1 : 0, data.lines[one.column]?.probit?.r2 ?? -1];
const first = [...shifted].sort((a, b) => strength(b)[0] - strength(a)[0] || strength(b)[1] - strength(a)[1])[0] || { name: "" };
const state = Object.assign({ scale: "probit", shift: "", q: "", family: "", tier: "", training: "", sort: "", page: 0, columns: null }, fromAddress());
if (!shifted.some((one) => one.name === state.shift)) state.shift = first.name;
const usualSort = rows.some((row) => row.rank) ? "rank" : "-er";
state.sort = state.sort || usualSort;

function fromAddress() {
  const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  if (given.page) given.page = Math.max(0, Number.parseInt(given.page, 10) - 1 || 0);
  if (given.columns !== undefined) given.columns = given.columns.split(",").filter(Boolean);
  if (given.scale && !SCALES[given.scale]) delete given.scale;
  return given;
}

function toAddress() {
  const kept = { shift: state.shift, scale: state.scale, q: state.q, family: state.family, tier: state.tier, training: state.training, sort: state.sort === usualSort ? "" : state.sort, page: state.page ? state.page + 1 : "", columns: state.columns ? state.columns.join(",") : "" };
  history.replaceState(null, "", "#" + new URLSearchParams(Object.entries(kept).filter(([, value]) => value !== "")));
}

const chosen = () => shifted.find((one) => one.name === state.shift);
const percent = (points) => (points / 100).toFixed(1);
const signed = (points) => (points >= 0 ? "+" : "−") + (Math.abs(points) / 100).toFixed(1);

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);  // text stays text, whatever a model is called
  return made;
}

function interval(text) {
  return element("span", { className: "interval" }, text);
}

// ---- the table
function columns() {
  const shown = state.columns ? data.shifts.map((shift, column) => ({ ...shift, column })).filter((one) => state.columns.includes(one.name)).map((one) => one.column) : [...mainReference, ...usual].sort((a, b) => a - b);
  const accuracy = shown.map((column) => ({
    id: data.shifts[column].name, header: data.shifts[column].name, number: true,
    accessorFn: (row) => row.cells.get(column)?.accuracy, sortUndefined: "last", sortDescFirst: true,
    show: (row) => {
      const cell = row.cells.get(column);
      if (!cell) return ["–"];
      return cell.low === null ? [percent(cell.accuracy)] : [percent(cell.accuracy), interval(`[${percent(cell.low)}, ${percent(cell.high)}]`)];
    },
  }));
  const at = chosen();
  return [
    { id: "rank", header: "Rank", number: true, accessorFn: (row) => row.rank?.[0], sortUndefined: "last", show: (row) => row.rank ? [`${row.rank[0]}`, interval(`[${row.rank[1]}, ${row.rank[2]}]`)] : ["–"] },
    { id: "model", header: "Model", head: true, accessorFn: (row) => row.name.toLowerCase(), show: (row) => [element("a", { href: `../model/${row.id}.html` }, row.name)] },
    { id: "family", header: "Family", accessorFn: (row) => row.family.label, show: (row) => [row.family.label] },
    { id: "training", header: "Training data", accessorFn: (row) => row.training.join(", "), show: (row) => [row.training.join(", ") || "unknown"] },
    ...accuracy,
    { id: "er", header: at ? `ER on ${at.name}` : "ER", number: true, sortUndefined: "last", sortDescFirst: true, accessorFn: (row) => at && row.cells.get(at.column)?.effective?.[0],
      show: (row) => {
        const effective = at && row.cells.get(at.column)?.effective;
        if (!effective) return ["–"];
        const flags = effective.slice(3).map((flag) => data.flags[flag]).join(", ");
        return [signed(effective[0]), interval(`[${signed(effective[1])}, ${signed(effective[2])}]${flags ? " " + flags : ""}`)];
      } },
    { id: "tier", header: "Tier", accessorFn: (row) => data.tiers.indexOf(row.tier), sortDescFirst: true, show: (row) => [element("span", { className: `tier ${row.tier}` }, row.tier)] },
  ];
}

function sorting() {
  return [{ id: state.sort.replace(/^-/, ""), desc: state.sort.startsWith("-") }];
}

function matching() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) =>
    (!state.family || row.family.name === state.family) && (!state.tier || row.tier === state.tier) &&
    (!state.training || row.training.includes(state.training)) && words.every((word) => row.text.includes(word)));
}

function table(found) {
  const defined = columns();
  if (!defined.some((one) => one.id === sorting()[0].id)) state.sort = usualSort;
  const made = TableCore.createTable({
    data: found, columns: defined, getCoreRowModel: TableCore.getCoreRowModel(), getSortedRowModel: TableCore.getSortedRowModel(),
    getPaginationRowModel: TableCore.getPaginationRowModel(), onStateChange: () => {}, renderFallbackValue: null,
    state: { sorting: sorting(), pagination: { pageIndex: 0, pageSize: PAGE }, columnPinning: { left: [], right: [] } },
  });
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  state.page = Math.min(state.page, pages - 1);
  made.setOptions((old) => ({ ...old, state: { ...old.state, pagination: { pageIndex: state.page, pageSize: PAGE } } }));
  return { defined, made, pages };
}

function drawTable() {
  const found = matching(), { defined, made, pages } = table(found);
  const head = element("tr", {});
  for (const column of defined) {
    const now = sorting()[0], mine = now.id === column.id;
    const button = element("button", { type: "button" }, column.header + (mine ? (now.desc ? " ▼" : " ▲") : ""));
    button.addEventListener("click", () => {
      const first = column.sortDescFirst ? "-" : "", other = column.sortDescFirst ? "" : "-";
      state.sort = (mine && state.sort.startsWith("-") === Boolean(first) ? other : first) + column.id;
      state.page = 0;
      drawTable();
      [...document.querySelectorAll("#models thead th")][defined.indexOf(column)].firstChild.focus();
    });
    const cell = element("th", { scope: "col", className: column.number ? "number" : "" }, button);
    if (mine) cell.setAttribute("aria-sort", now.desc ? "descending" : "ascending");
    head.append(cell);
  }
  document.querySelector("#models thead").replaceChildren(head);
  const body = made.getRowModel().rows.map(({ original: row }) => element("tr", { className: row.status === "active" ? "" : "out", title: row.status === "active" ? "" : row.status },
    ...defined.map((column) => {
      const cell = element(column.head ? "th" : "td", { className: column.number ? "number" : "" }, ...column.show(row));
      if (column.head) cell.scope = "row";
      return cell;
    })));
  document.querySelector("#models tbody").replaceChildren(...body);
  $("count").textContent = `${found.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} models`;
  $("page").textContent = `Page ${state.page + 1} of ${pages}`;
  $("previous").disabled = state.page === 0;
  $("next").disabled = state.page >= pages - 1;
  toAddress();
}

// ---- the scatter
let chart = null;

function drawScatter() {
  const shift = chosen();
  if (chart) chart.destroy();
  chart = null;
  $("scatter").closest("section").hidden = !shift;
  if (!shift) return;
  const place = SCALES[state.scale], at = (points) => place(points / 10000), reference = data.shifts[shift.reference];
  const points = matching().filter((row) => row.cells.has(shift.column) && row.cells.has(shift.reference));
  const line = data.lines[shift.column]?.[state.scale];
  const seen = points.filter((row) => !hidden.has(row.family.name));
  const x = seen.map((row) => row.cells.get(shift.reference).accuracy), y = seen.map((row) => row.cells.get(shift.column).accuracy);
  const span = (values) => {
    const low = Math.max(Math.min(...values, 9000) / 10000 - 0.02, 0.002), high = Math.min(Math.max(...values, 1000) / 10000 + 0.02, 0.998);
    return values.length ? [low, Math.max(high, low + 0.02)] : [0.1, 0.9];
  };
  const [left, right] = span(x), [bottom, top] = span(y), colour = ink("--ink"), band = ink("--band");
  const groups = data.families.map((family) => ({
    label: family.label, pointStyle: SHAPES[family.marker], rotation: family.marker === "v" ? 180 : 0, backgroundColor: family.colour + "b0", borderColor: family.colour, radius: 4, hoverRadius: 7, order: 2, family: family.name, hidden: hidden.has(family.name),
    data: points.filter((row) => row.family === family).map((row) => ({ x: at(row.cells.get(shift.reference).accuracy), y: at(row.cells.get(shift.column).accuracy), row })),
  })).filter((group) => group.data.length);
  const measured = seen.filter((row) => row.tier !== "claimed").map((row) => ({ x: at(row.cells.get(shift.reference).accuracy), y: at(row.cells.get(shift.column).accuracy), row }));
  if (measured.length) groups.push({ label: "re-scored here", pointStyle: "circle", radius: 8, hoverRadius: 10, borderWidth: 2, borderColor: colour, backgroundColor: "transparent", order: 1, data: measured });
  const curve = (label, values, options) => ({ type: "line", label, pointRadius: 0, pointHitRadius: 0, borderWidth: 0, order: 3, data: line.at.map((one, index) => ({ x: at(one), y: at(values[index]) })), ...options });
  const drawn = line ? [
    curve("line", line.expected, { borderWidth: 2, borderColor: colour }),
    curve("95 % band", line.low, { fill: "+1", backgroundColor: band + "50", order: 4 }), curve("", line.high, {}),
    curve("95 % prediction interval", line.least, { fill: "+1", backgroundColor: band + "1c", order: 5 }), curve("", line.most, {}),
  ] : [];
  const ends = [Math.max(left, bottom), Math.min(right, top)];
  if (ends[0] < ends[1]) drawn.push({ type: "line", label: "y = x", pointRadius: 0, pointHitRadius: 0, borderWidth: 1, borderDash: [5, 4], borderColor: ink("--soft"), order: 6, data: ends.map((one) => ({ x: place(one), y: place(one) })) });
  const axis = (low, high, label) => ({
    type: "linear", min: place(low), max: place(high), title: { display: true, text: label + " (%)", color: colour }, grid: { color: ink("--rule") },
    ticks: { color: colour, callback: function (value) { return this.named?.get(value) ?? ""; } },
    afterBuildTicks: (scale) => { const made = ticks(state.scale, low, high, 9); scale.named = new Map(made.map((one) => [one.value, one.label])); scale.ticks = made.map((one) => ({ value: one.value })); },
  });
  const bounds = (cell) => cell.low === null ? percent(cell.accuracy) : `${percent(cell.accuracy)} [${percent(cell.low)}, ${percent(cell.high)}]`;
  chart = new Chart($("scatter"), {
    type: "scatter", data: { datasets: [...groups, ...drawn] },
    options: {
      animation: false, maintainAspectRatio: false, scales: { x: axis(left, right, reference.name), y: axis(bottom, top, shift.name) },
      onHover: (event, hit) => { event.native.target.style.cursor = hit.length ? "pointer" : "default"; },
      onClick: (_event, hit) => { const row = hit.length && chart.data.datasets[hit[0].datasetIndex].data[hit[0].index].row; if (row) location.href = `../model/${row.id}.html`; },
      plugins: {
        legend: {
          labels: { usePointStyle: true, boxHeight: 7, color: colour, filter: (item) => item.text !== "" },
          onClick: (_event, item) => {
            const family = chart.data.datasets[item.datasetIndex].family;
            if (!family) return;
            if (!hidden.delete(family)) hidden.add(family);
            drawScatter();
          },
        },
        tooltip: { filter: (item) => Boolean(item.raw.row), callbacks: { label: ({ raw: { row } }) => {
          const effective = row.cells.get(shift.column).effective;
          return [row.name, `${reference.name}: ${bounds(row.cells.get(shift.reference))}`, `${shift.name}: ${bounds(row.cells.get(shift.column))}`,
            ...(effective ? [`effective robustness ${signed(effective[0])} [${signed(effective[1])}, ${signed(effective[2])}]`] : []), `${row.family.label}; ${row.tier}, ${row.source}`];
        } } },
      },
    },
  });
  $("line").textContent = line ? `Line: ${state.scale} scale, slope ${line.slope.toFixed(3)}, intercept ${line.intercept.toFixed(3)}, r² ${line.r2.toFixed(3)}, through ${line.models} models of ${line.baseline}${line.r2 < 0.7 ? ": a weak fit, effective robustness says little here" : ""}. ${seen.length} models shown; click one to open it, or a family in the legend to show or hide it.` : `No shipped baseline has a line from ${reference.name} to ${shift.name}. ${seen.length} models shown.`;
}

// ---- the controls
function fill(select, values, now) {
  for (const [value, label] of values) select.append(element("option", { value }, label));
  select.value = now;
}

fill($("shift"), shifted.map((one) => [one.name, `${one.name} (${one.rows})`]), state.shift);
fill($("family"), data.families.filter((family) => rows.some((row) => row.family === family)).map((one) => [one.name, one.label]), state.family);
fill($("training"), data.training.map((one) => [one, one]), state.training);
$("tier").value = state.tier;
$("search").value = state.q;
document.querySelector(`input[name="scale"][value="${state.scale}"]`).checked = true;

function both() { state.page = 0; drawTable(); drawScatter(); }
for (const id of ["family", "tier", "training"]) $(id).addEventListener("change", (event) => { state[id] = event.target.value; both(); });
let waiting = 0;
$("search").addEventListener("input", (event) => { state.q = event.target.value; clearTimeout(waiting); waiting = setTimeout(both, 120); });
$("shift").addEventListener("change", (event) => { state.shift = event.target.value; drawTable(); drawScatter(); });
for (const radio of document.querySelectorAll('input[name="scale"]')) radio.addEventListener("change", (event) => { state.scale = event.target.value; drawScatter(); toAddress(); });
$("previous").addEventListener("click", () => { state.page -= 1; drawTable(); });
$("next").addEventListener("click", () => { state.page += 1; drawTable(); });
addEventListener("theme", drawScatter);
addEventListener("hashchange", () => location.reload());

const shownNow = () => columns().map((one) => one.id);
for (const shift of data.shifts) {
  const box = element("input", { type: "checkbox", checked: shownNow().includes(shift.name) });
  box.addEventListener("change", () => {
    const now = new Set(shownNow().filter((id) => data.shifts.some((one) => one.name === id)));
    if (box.checked) now.add(shift.name); else now.delete(shift.name);
    state.columns = [...now];
    drawTable();
  });
  $("columns").append(element("label", {}, box, " " + shift.name));
}

drawTable();
drawScatter();
