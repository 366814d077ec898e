// The trace page: the same chunk lit in every stage, a cited source opened, the raw line copied.
"use strict";

const lit = "same-chunk";

function light(chunk) {
  for (const element of document.querySelectorAll("[data-chunk]")) {
    element.classList.toggle(lit, chunk !== null && element.dataset.chunk === chunk);
  }
}

function chunkOf(event) {
  const element = event.target.closest("[data-chunk]");
  return element ? element.dataset.chunk : null;
}

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") {
    target.open = true;
    target.scrollIntoView({ block: "center" });
  }
}

async function copy(event) {
  const button = event.currentTarget;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    button.textContent = "Selected: press Ctrl+C";
  }
}

document.addEventListener("mouseover", (event) => light(chunkOf(event)));
document.addEventListener("focusin", (event) => light(chunkOf(event)));
document.addEventListener("click", (event) => {
  if (event.target.closest('a[href^="#source-"]')) setTimeout(openTarget);
});
window.addEventListener("hashchange", openTarget);
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", copy);
openTarget();
