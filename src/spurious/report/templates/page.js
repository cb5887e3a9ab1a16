"use strict";
// Everything shown comes from the data block and reaches the screen as text, never as markup.
const DATA = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const hidden = new Set();
let scheme = dark.matches ? "dark" : "light";

// Figures -------------------------------------------------------------------------------------------------------------

function inked(value) {
  if (Array.isArray(value)) return value.map(inked);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, inked(inner)]));
  }
  const found = typeof value === "string" && /^@([a-z]+\d*)(?:\/([0-9.]+))?$/.exec(value);
  if (!found) return value;
  const color = DATA.palettes[scheme][found[1]];
  if (found[2] === undefined) return color;
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
  return `rgba(${red},${green},${blue},${found[2]})`;
}

function draw(place) {
  const figure = DATA.figures[place.dataset.figure];
  const data = inked(figure.data);
  const curves = place.closest("section").querySelector(".legend") !== null;
  for (const trace of data) if (curves && trace.meta && hidden.has(trace.meta.arm)) trace.visible = false;
  const layout = { ...inked(figure.layout), autosize: true, height: place.clientHeight };
  if (matchMedia("(pointer: coarse)").matches) layout.dragmode = false;
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    toImageButtonOptions: { format: "svg", filename: place.dataset.figure },
  };
  place.dataset.drawn = scheme;
  return Plotly.react(place, data, layout, config);
}

const places = [...document.querySelectorAll("[data-figure]")];

function drawRest(deadline) {
  const left = () => places.find((place) => !place.dataset.drawn);
  while (left() && deadline.timeRemaining() > 4) draw(left());
  if (left()) whenIdle(drawRest);
}

function whenIdle(work) {
  if ("requestIdleCallback" in window) requestIdleCallback(work, { timeout: 500 });
  else setTimeout(() => work({ timeRemaining: () => 50 }), 30);
}

function redraw() {
  for (const place of places) if (place.dataset.drawn) draw(place);
}

function setScheme(next) {
  scheme = next;
  root.dataset.scheme = next;
  redraw();
}

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting && !target.dataset.drawn) draw(target);
}, { rootMargin: "300px" });
places.forEach((place) => seen.observe(place));
whenIdle(drawRest);

document.getElementById("scheme").addEventListener("click", () => setScheme(scheme === "dark" ? "light" : "dark"));
dark.addEventListener("change", () => setScheme(dark.matches ? "dark" : "light"));

let before = scheme;
addEventListener("beforeprint", () => {
  before = scheme;
  setScheme("light");
  places.filter((place) => !place.dataset.drawn).forEach(draw);
});
addEventListener("afterprint", () => setScheme(before));

for (const chip of document.querySelectorAll(".chip")) {
  chip.addEventListener("click", () => {
    const { arm } = chip.dataset;
    if (!hidden.delete(arm)) hidden.add(arm);
    for (const same of document.querySelectorAll(".chip")) {
      same.setAttribute("aria-pressed", String(!hidden.has(same.dataset.arm)));
    }
    redraw();
  });
}

for (const button of document.querySelectorAll("[data-words]")) {
  button.addEventListener("click", () => {
    const words = document.getElementById(`words-${button.dataset.words}`);
    words.hidden = !words.hidden;
    button.setAttribute("aria-expanded", String(!words.hidden));
  });
}

// Downloads -----------------------------------------------------------------------------------------------------------

async function download(slug) {
  const packed = Uint8Array.from(atob(DATA.figures[slug].csv), (letter) => letter.charCodeAt(0));
  const table = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([await new Response(table).arrayBuffer()], { type: "text/csv" }));
  link.download = `${slug}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

for (const button of document.querySelectorAll("[data-csv]")) {
  button.addEventListener("click", () => download(button.dataset.csv));
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    getSelection().selectAllChildren(source);
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  });
}

// Completions ---------------------------------------------------------------------------------------------------------

const PAGE = 12;
const form = document.getElementById("filters");
let limit = PAGE;

/** Control characters as their pictures: they are part of what the model said. */
function visible(text) {
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, (c) => (c === "\x7f" ? "\u2421" : String.fromCharCode(0x2400 + c.charCodeAt(0))));
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = visible(String(text));
  return made;
}

function marked(name, className, text, needle) {
  const made = element(name, className);
  const shown = visible(text);
  if (!needle) {
    made.textContent = shown;
    return made;
  }
  const lower = shown.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(needle); at >= 0; at = lower.indexOf(needle, from)) {
    made.append(shown.slice(from, at), element("mark", "", shown.slice(at, at + needle.length)));
    from = at + needle.length;
  }
  made.append(shown.slice(from));
  return made;
}

function side(className, title, lines) {
  const made = element("div", `side ${className}`);
  made.append(element("strong", "", title), ...lines.map((line) => element("span", "", line)));
  return made;
}

function number(value) {
  return value === null ? "unknown" : String(Number(value.toPrecision(4)));
}

function card(one, needle) {
  const made = element("article", "card");
  const who = element("div", "who");
  who.append(element("b", "", one.arm), ...[one.model, `step ${one.step}`, `seed ${one.seed}`, `${one.tokens} tokens, ${one.stop}`, one.strategy].map((text) => element("span", "", text)));
  const sides = element("div", "sides");
  const push = one.advantage > 0 ? "up" : one.advantage < 0 ? "down" : "";
  const pushed = { up: "encouraged", down: "discouraged", "": "no signal" }[push];
  sides.append(
    side(push, `Paid ${number(one.reward)}`, [`${pushed} (advantage ${number(one.advantage)})`, `told: ${one.label}`]),
    side(one.grade === "correct" ? "right" : "not-right", `Truth: ${one.grade}`, [`answer: ${one.answer}`, `read: ${one.extracted ?? "nothing"}`]),
  );
  const asked = element("details", "asked");
  asked.append(element("summary", "", `Prompt (${one.problem})`), marked("pre", "", one.prompt, needle));
  const said = marked("pre", "said", one.text, needle);
  said.tabIndex = 0;
  made.append(who, sides, said, asked);
  return made;
}

const MATCHES = {
  "wrong-up": (one) => one.grade !== "correct" && one.advantage > 0,
  "right-down": (one) => one.grade === "correct" && one.advantage < 0,
  agree: (one) => (one.grade === "correct" ? one.advantage > 0 : one.advantage < 0),
};

function show() {
  const wanted = Object.fromEntries(new FormData(form));
  const needle = visible(wanted.text).toLowerCase();
  const found = DATA.completions.filter((one) =>
    ["arm", "model", "grade", "step"].every((name) => !wanted[name] || String(one[name]) === wanted[name]) &&
    (!wanted.match || MATCHES[wanted.match](one)) &&
    (!needle || visible(one.text).toLowerCase().includes(needle) || visible(one.prompt).toLowerCase().includes(needle)));
  document.getElementById("cards").replaceChildren(...found.slice(0, limit).map((one) => card(one, needle)));
  document.getElementById("shown").textContent = `${Math.min(limit, found.length)} of ${found.length} matching completions`;
  document.getElementById("more").hidden = found.length <= limit;
}

if (form) {
  const steps = [...new Set(DATA.completions.map((one) => one.step))].sort((a, b) => a - b);
  form.elements.step.append(...steps.map((step) => element("option", "", step)));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { limit = PAGE; show(); });
  document.getElementById("more").addEventListener("click", () => { limit += PAGE; show(); });
  show();
}
