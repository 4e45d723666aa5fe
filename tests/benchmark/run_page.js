// Runs the script of an interactive page in a document of straw and prints what it has drawn, as JSON.
"use strict";
const text = require("fs").readFileSync(process.argv[2], "utf8");
const data = text.match(/<script type="application\/json" id="data">([\s\S]*?)<\/script>/)[1];
const script = text.match(/<script>\n"use strict";([\s\S]*)<\/script>/)[1];
class Node {
  constructor(tag) { this.tag = tag; this.children = []; this.attributes = {}; this.handlers = {}; this.style = {}; this.textContent = ""; this.offsetWidth = this.offsetHeight = 10; }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  appendChild(child) { this.children.push(child); return child; }
  append(...children) { for (const child of children) if (child instanceof Node) this.children.push(child); }
  replaceChildren() { this.children = []; }
  addEventListener(name, handler) { this.handlers[name] = handler; }
  *all() { yield this; for (const child of this.children) yield* child.all(); }
}
const byId = {};
const document = { getElementById: id => byId[id] ??= Object.assign(new Node(id), id === "data" ? { textContent: data } : {}), createElement: tag => new Node(tag), createElementNS: (_, tag) => new Node(tag) };
new Function("document", "innerWidth", "innerHeight", script)(document, 1200, 800);
function state() {
  const nodes = [...byId.panels.all()];
  return { paths: nodes.filter(n => n.tag === "path").length, marks: nodes.filter(n => n.handlers.pointerenter).length,
    names: nodes.filter(n => n.attributes.class === "name").map(n => n.textContent), texts: nodes.filter(n => n.tag === "text").map(n => n.textContent),
    broken: nodes.filter(n => Object.values(n.attributes).some(v => /NaN|Infinity|undefined/.test(v))).length };
}
const first = state();
const mark = [...byId.panels.all()].find(n => n.handlers.pointerenter);
mark.handlers.pointerenter();
const tip = byId.tip.children.map(n => n.textContent).filter(Boolean);
const scales = {};
for (const input of byId.scales.children.flatMap(n => n.children)) { input.handlers.change(); scales[input.value] = state(); }
const box = byId.families.children[0].children[0];
box.checked = !box.checked; box.handlers.change();
console.log(JSON.stringify({ first, tip, scales, toggled: state() }));
