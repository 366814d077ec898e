// The ask page. Whatever a document, a model or a person wrote enters the page as text, never as markup.
"use strict";

const form = document.getElementById("ask");
const question = form.elements.question;
const part = (id) => document.getElementById(id);
const STAGES = ["transform", "embed", "vector", "bm25", "rerank", "generate"];
const MARKS = /\n*```[^\n]*\n([\s\S]*?)\n?```\n*|`([^`\n]+)`|[ \t]?\[([^[\]\n]{3,600})\]/g;

function element(tag, { text, className, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function milliseconds(value) {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ms`;
}

// the answer and its sources

function showAnswer(body) {
  const numbers = new Map(body.sources.map((source, index) => [source.id, index + 1]));
  const answer = part("answer");
  answer.replaceChildren(...pieces(body.answer, numbers));
  answer.classList.toggle("no-answer", !body.answered);
}

function pieces(text, numbers) {
  const made = [];
  let written = 0;
  for (const match of text.matchAll(MARKS)) {
    const piece = marked(match, numbers);
    if (!piece) continue;
    made.push(text.slice(written, match.index), piece);
    written = match.index + match[0].length;
  }
  return [...made, text.slice(written)];
}

function marked([, block, code, bracketed], numbers) {
  if (block !== undefined) return element("pre", { tabindex: "0" }, element("code", { text: block }));
  if (code !== undefined) return element("code", { text: code });
  const number = numbers.get(bracketed.trim());
  return number && citation(number, bracketed.trim());
}

function citation(number, id) {
  const link = element("a", { text: String(number), href: `#source-${number}`, title: id, "aria-label": `source ${number}` });
  link.addEventListener("click", (event) => {
    event.preventDefault();
    reveal(number);
  });
  return element("sup", { className: "citation" }, link);
}

function reveal(number) {
  const card = part(`source-${number}`);
  for (const other of document.querySelectorAll(".source.lit")) other.classList.remove("lit");
  card.classList.add("lit");
  card.scrollIntoView({ behavior: "smooth", block: "center" });
  card.focus({ preventScroll: true });
}

function showSources(body) {
  const cited = new Set(body.citations);
  part("sources").replaceChildren(...body.sources.map((source, index) => card(source, index + 1, cited.has(source.id))));
  part("sources-title").textContent = body.sources.length ? "Sources" : "No sources were found";
}

function card(source, number, isCited) {
  const heading = element("h3", {}, element("span", { className: "number", text: String(number) }), source.heading || source.title);
  const about = element("p", { className: "about" }, element("code", { text: source.id }), ` · score ${source.score.toFixed(4)}`);
  if (isCited) heading.append(element("span", { className: "badge good", text: "cited" }));
  if (isWebAddress(source.url)) {
    const link = { text: "open the document ↗", href: source.url, rel: "noopener noreferrer", target: "_blank" };
    about.append(" · ", element("a", link));
  }
  const text = element("div", { className: "text", text: source.text, tabindex: "0" });
  return element("li", { id: `source-${number}`, className: "source card", tabindex: "-1" }, heading, about, text);
}

function isWebAddress(url) {
  return typeof url === "string" && /^https?:\/\//i.test(url);
}

// the receipt

function showReceipt(body) {
  const badges = body.provider_mode === "simulated" ? [["notice", "simulated"]] : [["good", body.provider_mode]];
  if (!body.answered) badges.push(["plain", "not in the documents"]);
  if (body.cache.answer === "hit") badges.push(["good", "from the answer cache"]);
  badges.push(...body.degraded.map((note) => ["bad", `degraded: ${note}`]));
  part("badges").replaceChildren(...badges.map(([tone, text]) => element("span", { className: `badge ${tone}`, text })));
  part("facts").replaceChildren(...facts(body).flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })]));
  part("bars").replaceChildren(...bars(body.latencies_ms));
  part("trace-link").href = form.dataset.traceUrl.replace("TRACE_ID", encodeURIComponent(body.trace_id));
}

function facts(body) {
  return [
    ["Transform", body.transform],
    ["Module", body.module],
    ["Corpus", `${body.corpus} ${body.corpus_version}`],
    ["Prompt", body.prompt_version],
    ["Model", body.model],
    ["Cost", body.cost_usd === null ? "unpriced" : `$${body.cost_usd.toFixed(6)}${body.provider_mode === "simulated" ? " (simulated)" : ""}`],
    ["Prompt cache", body.cache.prompt],
    ["Trace", body.trace_id],
  ].filter(([, value]) => value);
}

function bars(latencies) {
  const known = Object.keys(latencies).filter((stage) => latencies[stage] !== null && stage !== "total");
  const order = [...STAGES.filter((stage) => known.includes(stage)), ...known.filter((stage) => !STAGES.includes(stage))];
  const longest = latencies.total || Math.max(1, ...order.map((stage) => latencies[stage]));
  return [...order, "total"].filter((stage) => latencies[stage] != null).map((stage) => bar(stage, latencies[stage], longest));
}

function bar(stage, spent, longest) {
  const fill = element("span", { className: `fill ${stage}` });
  fill.style.width = `${Math.min(100, (100 * spent) / longest)}%`;
  const track = element("span", { className: "track", "aria-hidden": "true" }, fill);
  return element("li", {}, element("span", { text: stage }), track, element("span", { className: "ms", text: milliseconds(spent) }));
}

// asking

function payload() {
  const { corpus, module, transform, top_k } = form.elements;
  const asked = { question: question.value, corpus: corpus.value, module: module.value, stream: true };
  if (transform.value) asked.transform = transform.value;
  if (top_k.value) asked.top_k = Number(top_k.value);
  return asked;
}

async function ask(event) {
  event.preventDefault();
  if (form.classList.contains("busy") || !question.value.trim()) return;
  busy(true);
  try {
    const response = await fetch(form.dataset.endpoint, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
      body: JSON.stringify(payload()),
    });
    if (!response.ok) breakOff(await response.json());
    else if (!(await follow(response.body))) throw new SyntaxError("the stream ended before the answer did");
  } catch (error) {
    const gone = error instanceof TypeError ? "The server cannot be reached." : "The server sent something that is no answer.";
    breakOff({ title: "No answer", detail: `${gone} Try again.` });
  } finally {
    busy(false);
  }
}

// Act on the events as they come; tells whether the last of them was there.
async function follow(stream) {
  const body = { answer: "", answered: true, sources: [], citations: [] };
  for await (const { name, data } of events(stream)) {
    if (name === "sources") begin(Object.assign(body, data));
    else if (name === "delta") showAnswer({ ...body, answer: (body.answer += data.text) });
    else if (name === "error") breakOff(data);
    else if (name === "done") finish(data);
    if (name === "done" || name === "error") return true;
  }
  return false;
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    const frames = (held + value).split("\n\n");
    held = frames.pop();
    for (const frame of frames) {
      const match = /^event: (.*)\ndata: (.*)$/.exec(frame);
      if (match) yield { name: match[1], data: JSON.parse(match[2]) };
    }
  }
}

function begin(body) {
  showSources(body);
  showAnswer(body);
  part("answer").setAttribute("aria-busy", "true");
  part("status").textContent = "Writing the answer…";
  part("receipt").hidden = true;
  part("result").hidden = false;
  part("result").scrollIntoView({ behavior: "smooth", block: "nearest" });
}

function finish(body) {
  part("answer").setAttribute("aria-busy", "false");
  showAnswer(body);
  showSources(body);
  showReceipt(body);
  part("receipt").hidden = false;
  part("result").hidden = false;
  part("answer-title").focus({ preventScroll: true });
}

// What was shown of an answer that broke off does not stand.
function breakOff(problem) {
  part("answer").setAttribute("aria-busy", "false");
  part("answer").replaceChildren();
  part("result").hidden = true;
  refuse(problem);
}

function refuse(problem) {
  const box = part("problem");
  box.replaceChildren(element("strong", { text: problem.title }), ` ${problem.detail || ""}`);
  if (problem.trace_id) {
    const href = form.dataset.traceUrl.replace("TRACE_ID", encodeURIComponent(problem.trace_id));
    box.append(" ", element("a", { text: "What happened: the trace", href }));
  }
  box.hidden = false;
}

function busy(on) {
  form.classList.toggle("busy", on);
  part("submit").disabled = on;
  part("status").hidden = !on;
  part("status").textContent = "Looking through the documents…";
  if (on) {
    part("problem").hidden = true;
    part("result").hidden = true;
  }
}

function count() {
  part("counter").textContent = `${question.value.length.toLocaleString("en")} / ${question.maxLength.toLocaleString("en")}`;
}

function offerExamples() {
  for (const chip of document.querySelectorAll(".chip")) chip.hidden = chip.dataset.corpus !== form.elements.corpus.value;
}

form.addEventListener("submit", ask);
question.addEventListener("input", count);
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
form.elements.corpus.addEventListener("change", offerExamples);
part("examples").addEventListener("click", (event) => {
  const chip = event.target.closest(".chip");
  if (!chip) return;
  question.value = chip.textContent;
  count();
  form.requestSubmit();
});
count();
offerExamples();
