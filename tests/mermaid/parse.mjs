// Reads JSON lines {id, text, render?} on stdin; parses each text with every installed version of the real Mermaid, and
// renders it too where `render` is true. Prints one JSON line for each text and version:
// {id, version, ok, error, direction, title, nodes, edges, labels, subgraphs, classes, rendered}.
// Links are percent-decoded, as some versions do and some do not.
// Labels are decoded as a browser would decode them, so they can be compared to the text that was meant.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";

const PACKAGES = ["mermaid", "mermaid10", "mermaid11-4"];

// Mermaid sanitises each label with DOMPurify, which takes its DOM from the globals when it is imported.
const { window } = new JSDOM("<body></body>", { pretendToBeVisual: true });
globalThis.window = window;
globalThis.document = window.document;
// The DOM shim has no layout and no constructable style sheets. Sizes that grow with the text do for drawing; nothing
// here looks at where things were drawn.
const measured = (element) => ({ x: 0, y: 0, width: 8 * element.textContent.length + 1, height: 20 });
window.SVGElement.prototype.getBBox = function () { return measured(this); };
window.SVGElement.prototype.getComputedTextLength = function () { return measured(this).width; };
window.HTMLElement.prototype.getBoundingClientRect = function () { return measured(this); };
for (const name of ["Element", "Node", "HTMLElement", "SVGElement", "getComputedStyle"]) globalThis[name] = window[name];
globalThis.CSSStyleSheet = class {
  cssRules = [];
  insertRule(rule) { this.cssRules.push({ cssText: rule }); }
};

const versions = [];
for (const name of PACKAGES) {
  const { version } = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url)));
  const { default: mermaid } = await import(name);
  mermaid.initialize({ startOnLoad: false });
  // Mermaid registers its diagram types when it first parses; only then does getDiagramFromText know flowcharts.
  await mermaid.parse("flowchart LR\n  a --> b");
  versions.push({ version, mermaid });
}

// What Mermaid's decodeEntities and then the browser's HTML parser do to a label.
function decode(text) {
  return text.replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(Number(code)));
}

function entries(collection) {
  return collection instanceof Map ? [...collection.entries()] : Object.entries(collection);
}

async function parse(mermaid, text) {
  // Mermaid draws an error instead of a longer text (maxTextSize), before it parses; our texts hold no comments, which
  // it would not count.
  if (text.length > 50000) throw new Error(`Maximum text size exceeded: ${text.length}`);
  const { db, type } = await mermaid.mermaidAPI.getDiagramFromText(text);
  if (!db.getVertices) throw new Error(`not a flowchart but ${type}`);
  const nodes = entries(db.getVertices()).map(([id, vertex]) => ({
    id,
    label: decode(vertex.text ?? id),
    kind: vertex.labelType ?? "text",
    shape: vertex.type ?? null,
    classes: vertex.classes ?? [],
  }));
  return {
    direction: db.getDirection(),
    title: decode(db.getAccTitle()),
    nodes,
    labels: Object.fromEntries(nodes.map(({ id, label }) => [id, label])),
    edges: db.getEdges().map(({ start, end, stroke, type, text }) => ({
      origin: start, destination: end, stroke, type, label: decode(text ?? ""),
    })),
    links: Object.fromEntries(entries(db.getVertices()).filter(([, v]) => v.link).map(([id, v]) => [id, decodeURIComponent(v.link)])),
    subgraphs: db.getSubGraphs().map(({ id, title, nodes }) => ({ id, title: decode(title), members: nodes })),
    classes: entries(db.getClasses()).map(([name, { styles }]) => ({ name, styles })),
  };
}

async function render(mermaid, text, number) {
  const { svg } = await mermaid.render(`diagram${number}`, text);
  const drawn = new JSDOM(svg.replace(/<br\s*\/?>/g, "\n")).window.document;
  const labels = [...drawn.querySelectorAll(".node")].map((node) => [
    node.id.replace(/^.*flowchart-(n\d+)-\d+$/, "$1"),
    node.querySelector(".nodeLabel").textContent,
  ]);
  return {
    title: drawn.querySelector("title")?.textContent ?? "",
    labels: Object.fromEntries(labels.sort()),
    edges: drawn.querySelectorAll("path.flowchart-link").length,
    subgraphs: [...drawn.querySelectorAll("span.nodeLabel")]
      .filter((label) => label.closest(".cluster-label"))
      .map((label) => label.textContent)
      .sort(),
  };
}

let number = 0;
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (!line.trim()) continue;
  const request = JSON.parse(line);
  for (const { version, mermaid } of versions) {
    let answer;
    try {
      const parsed = await parse(mermaid, request.text);
      const rendered = request.render ? await render(mermaid, request.text, number++) : null;
      answer = { ok: true, error: null, ...parsed, rendered };
    } catch (error) {
      answer = { ok: false, error: String(error?.message ?? error) };
    }
    process.stdout.write(JSON.stringify({ id: request.id, version, ...answer }) + "\n");
  }
}
window.close();
