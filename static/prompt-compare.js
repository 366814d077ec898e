// The comparison of two versions: unfolds unchanged lines, and asks both versions the same question.
"use strict";

const form = document.getElementById("try");

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

for (const button of document.querySelectorAll(".fold")) {
  const folded = button.closest("tbody").nextElementSibling;
  const unfold = (open) => {
    folded.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
  };
  button.hidden = false;
  unfold(false);
  button.addEventListener("click", () => unfold(folded.hidden));
}

async function ask(arm) {
  const body = new FormData(form);
  body.set("version", arm.dataset.version);
  try {
    const response = await fetch(form.dataset.url, { method: "POST", body });
    const told = await response.json().catch(() => ({}));
    return response.ok ? told : { problem: told.problem || `The server answered ${response.status}.` };
  } catch {
    return { problem: "The server cannot be reached." };
  }
}

function clear(arm) {
  arm.hidden = false;
  arm.setAttribute("aria-busy", "true");
  for (const each of arm.querySelectorAll(".answer, .costs, .tried-sources, .badges")) each.replaceChildren();
  arm.querySelector(".problem").hidden = true;
  arm.querySelector("a").hidden = true;
}

function show(arm, body) {
  arm.setAttribute("aria-busy", "false");
  if (body.problem) {
    arm.querySelector(".problem").textContent = body.problem;
    arm.querySelector(".problem").hidden = false;
    return;
  }
  arm.querySelector(".badges").append(...badges(body));
  arm.querySelector(".answer").append(...pieces(body));
  arm.querySelector(".costs").append(...body.facts.map(fact));
  arm.querySelector(".tried-sources").append(...body.sources.map((source) => sourceItem(source, body.citations)));
  Object.assign(arm.querySelector("a"), { href: body.trace_url, hidden: false });
}

function badges(body) {
  const made = [];
  if (!body.answered) made.push(element("span", "no answer in the documents", "badge badge-plain"));
  if (body.provider_mode === "simulated") made.push(element("span", "simulated", "badge badge-notice"));
  for (const how of body.degraded) made.push(element("span", `degraded: ${how}`, "badge badge-bad"));
  return made;
}

// The answer with each citation as the number of its source.
function pieces(body) {
  const numbers = new Map(body.sources.map((source, index) => [source.id, index + 1]));
  return body.answer.split(/(\[[^\[\]\n]+\])/).map((text) => {
    const ids = text.startsWith("[") ? text.slice(1, -1).split(/[,;]/).map((id) => id.trim()) : [];
    if (!ids.length || !ids.every((id) => numbers.has(id))) return document.createTextNode(text);
    const mark = element("span", ids.map((id) => numbers.get(id)).join(", "), "citation");
    mark.title = ids.join(", ");
    return mark;
  });
}

function fact([name, value]) {
  const pair = element("div");
  pair.append(element("dt", name), element("dd", value));
  return pair;
}

function sourceItem(source, citations) {
  const item = element("li");
  const details = element("details");
  const summary = element("summary", source.heading || source.title);
  if (citations.includes(source.id)) summary.append(" ", element("span", "cited", "badge badge-good"));
  details.append(summary, element("code", source.id), element("pre", source.text));
  item.append(details);
  return item;
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("[type=submit]");
  const arms = [...document.querySelectorAll(".arm")];
  button.disabled = true;
  arms.forEach(clear);
  await Promise.all(arms.map(async (arm) => show(arm, await ask(arm))));
  button.disabled = false;
});
