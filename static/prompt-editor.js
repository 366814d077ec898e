// The editor of a prompt: judges the text while it is written, and shows the request that it would make.
"use strict";

const form = document.getElementById("editor");
const part = (id) => document.getElementById(id);
const PAUSE_MS = 400;
const written = ["instructions", "examples"].map((name) => form.elements[name]);
let saving = false;

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

// Sends the form to one address; a request that a newer one supersedes is given up, and resolves to null.
function sender(url) {
  let current = null;
  return async () => {
    current?.abort();
    const mine = (current = new AbortController());
    try {
      const response = await fetch(url, { method: "POST", body: new FormData(form), signal: mine.signal });
      const body = await response.json().catch(() => ({ problem: `The server answered ${response.status}.` }));
      return response.ok ? body : { problem: body.problem || `The server answered ${response.status}.` };
    } catch (error) {
      return error.name === "AbortError" ? null : { problem: "The server cannot be reached." };
    }
  };
}

const check = sender(form.dataset.check);
const count = sender(form.dataset.tokens);
const preview = sender(form.dataset.preview);

// Said aloud by screen readers when it changes, so it is left alone when it does not.
function verdict(id, text, good) {
  if (part(id).textContent !== text) part(id).textContent = text;
  part(id).className = `verdict ${good === null ? "" : good ? "good" : "bad"}`;
}

async function judge() {
  const body = await check();
  if (!body) return;
  if (body.problem) return verdict("found", body.problem, false);
  const missing = body.findings.filter((each) => !each.blocks.length);
  const told = missing.length ? `${missing.length} of ${body.findings.length} missing` : `All ${body.findings.length} found`;
  verdict("found", body.findings.length ? told : "Nothing is required of this prompt.", body.findings.length ? !missing.length : null);
  part("findings").replaceChildren(...body.findings.map(finding));
  part("strays").textContent = body.strays.length
    ? `Nobody sends or fills in: ${body.strays.join(", ")}. The model gets it as it stands.` : "";
  part("overtaken").hidden = !body.overtaken;
  if (part("overtaken").textContent !== body.overtaken) part("overtaken").textContent = body.overtaken;
}

function finding({ name, otherwise, blocks }) {
  const item = element("li", "", blocks.length ? "" : "missing");
  item.append(element("span", blocks.length ? "✓" : "✗", "sign"), element("code", name));
  item.append(element("span", blocks.length ? ` in the ${blocks.join(" and the ")}` : ` is missing: ${otherwise}`, "hint"));
  item.querySelector(".sign").setAttribute("aria-hidden", "true");
  return item;
}

async function weigh() {
  const body = await count();
  if (!body) return;
  part("fill").hidden = Boolean(body.problem) || body.minimum === null;
  if (body.problem) {
    part("costs").replaceChildren();
    part("mode").textContent = "";
    return verdict("tokens", `Not counted. ${body.problem}`, null);
  }
  verdict("tokens", body.headline, body.minimum === null ? null : body.kept);
  if (body.minimum !== null) {
    Object.assign(part("fill"), { max: Math.max(body.minimum, body.tokens), low: body.minimum, optimum: body.minimum + 1, value: body.tokens });
  }
  part("costs").replaceChildren(...body.facts.map(fact));
  part("mode").textContent = body.mode === "simulated" ? "Counted by the sandbox, at the real prices." : "";
}

function fact([name, value]) {
  const pair = element("div");
  pair.append(element("dt", name), element("dd", value));
  return pair;
}

// The system prompt is shown as it stands in the form; the messages are those that the server made.
function showSystem() {
  const blocks = written.map((field) => field.value).filter(Boolean);
  const shown = part("system-blocks");
  if (shown) shown.replaceChildren(...blocks.map((text, index) => told(`System, block ${index + 1}`, text)));
}

function told(title, text) {
  const section = element("section");
  const box = element("pre", text, "text-box");
  box.tabIndex = 0;
  section.append(element("h3", title), box);
  return section;
}

async function show() {
  const button = part("preview");
  button.disabled = true;
  part("preview-told").textContent = "Looking for sources…";
  const body = await preview();
  button.disabled = false;
  if (!body) return;
  part("request").hidden = Boolean(body.problem);
  part("preview-told").textContent = body.problem || `To ${body.model}${body.kept ? ", with the system prompt marked to be cached for an hour" : ""}.`;
  if (body.problem) return;
  if (body.trace_url) {
    const link = element("a", "trace", "row-link");
    link.href = body.trace_url;
    const mode = body.mode === "simulated" ? " (simulated)" : "";
    part("preview-told").append(` ${body.sources} sources; the search cost ${body.cost}${mode}: `, link);
  }
  const system = element("div", "", "request");
  system.id = "system-blocks";
  part("request").replaceChildren(system, ...body.messages.map(({ role, text }) => told(`Message of the ${role}`, text)));
  showSystem();
}

let timer = 0;
function edited() {
  clearTimeout(timer);
  timer = setTimeout(() => { judge(); weigh(); }, PAUSE_MS);
  showSystem();
}

for (const field of written) field.addEventListener("input", edited);
part("preview")?.addEventListener("click", show);
form.addEventListener("submit", () => { saving = true; });
window.addEventListener("beforeunload", (event) => {
  if (!saving && written.some((field) => field.value !== field.defaultValue)) event.preventDefault();
});
judge();
weigh();
