// Checks a file by its hash, here in the browser; uploads it only when asked to.
"use strict";

const form = document.getElementById("drop");
const input = document.getElementById("file");
const upload = document.getElementById("upload");
const answer = document.getElementById("answer");
let turn = 0; // an answer about an earlier file is not shown

function say(tone, text, link) {
  const line = document.createElement("p");
  line.className = tone;
  line.textContent = text;
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link.href;
    anchor.textContent = link.text;
    line.append(" ", anchor);
  }
  answer.replaceChildren(line);
}

async function sha256(file) {
  const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function look(file) {
  const mine = ++turn;
  if (file.size > Number(form.dataset.max)) return say("bad", "The file is larger than 1.5 MB: no artifact is.");
  if (!window.crypto || !crypto.subtle) {
    return say("unsure", "This browser computes hashes on https pages only. Upload the file for the whole check.");
  }
  say("unsure", "Computing the hash of the file…");
  try {
    const hash = await sha256(file);
    const reply = await fetch(`${form.dataset.start}${hash}.json`, { cache: "no-cache", headers: { Accept: "application/json" } });
    if (mine === turn) tell(reply.status, reply.status === 200 || reply.status === 404 ? await reply.json() : {}, hash);
  } catch (error) {
    if (mine === turn) say("unsure", "The hash could not be looked up. Try again in a moment.");
  }
}

function tell(status, told, hash) {
  if (told.status === "valid" && (!form.dataset.sha256 || form.dataset.sha256 === hash)) {
    say("good", `Valid: this file is artifact ${told.number}, byte for byte.`, link(hash));
  } else if (told.status === "valid") {
    say("unsure", `This file is valid, but it is another artifact than the one on this page: ${told.number}.`, link(hash));
  } else if (told.status === "revoked") {
    say("bad", `Revoked: this file is artifact ${told.number}, which was withdrawn: ${told.reason}`, link(hash));
  } else if (told.status === "unknown") {
    say("bad", "Unknown: no artifact has this hash. The file was changed, or it was not issued here. Upload it to learn which.");
  } else {
    say("unsure", status === 429 ? "Too many requests: wait a moment." : "The hash could not be looked up. Try again in a moment.");
  }
}

function link(hash) {
  return form.dataset.sha256 === hash ? null : { href: form.dataset.start + hash, text: "Its page" };
}

async function send(file) {
  const mine = ++turn;
  const body = new FormData();
  body.append("file", file);
  upload.disabled = true;
  say("unsure", "The file is being checked…");
  try {
    const reply = await fetch(form.dataset.check, { method: "POST", body, headers: { Accept: "application/json" } });
    const told = (reply.headers.get("Content-Type") || "").startsWith("application/json") ? await reply.json() : { problem: await reply.text() };
    if (mine !== turn) return;
    if (told.problem) say("unsure", told.problem);
    else say(told.verdict === "valid" ? "good" : "bad", `${told.verdict.replace("_", " ")}: ${told.answer}${told.detail ? ` (${told.detail})` : ""}`);
  } catch (error) {
    if (mine === turn) say("unsure", "The file could not be sent. Try again in a moment.");
  } finally {
    upload.disabled = false;
  }
}

input.addEventListener("change", () => { if (input.files.length) look(input.files[0]); });
form.addEventListener("submit", (event) => { event.preventDefault(); if (input.files.length) send(input.files[0]); });
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("over"); });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) form.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  if (!event.dataTransfer.files.length) return;
  input.files = event.dataTransfer.files;
  look(input.files[0]);
});
