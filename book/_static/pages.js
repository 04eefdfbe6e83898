// What runs off its box can be scrolled by keyboard and fades at the edge where there is more.
const BOXES = ".bd-article :is(div.math > mjx-container, pre, .pst-scrollable-table-container, .claims-wrapper, table.claims, .vega-embed)";

function cue(box) {
  const rest = box.scrollWidth - box.clientWidth;
  box.classList.toggle("more-left", rest > 1 && box.scrollLeft > 1);
  box.classList.toggle("more-right", rest > 1 && box.scrollLeft < rest - 1);
  if (rest > 1) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
}

function watch() {
  const sizes = new ResizeObserver((changed) => changed.forEach((entry) => cue(entry.target)));
  for (const box of document.querySelectorAll(BOXES)) {
    box.addEventListener("scroll", () => cue(box), { passive: true });
    sizes.observe(box);
    cue(box);
  }
}

// A figure opens over the page at its own size; Escape, the button or a click closes it.
function enlarge(event) {
  const link = event.target.closest("a.enlarge");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const image = link.querySelector("img");
  const dialog = document.createElement("dialog");
  dialog.className = "enlarged";
  dialog.setAttribute("aria-label", "Figure");
  dialog.innerHTML = '<button type="button" autofocus>Close</button><div tabindex="0"><img></div>';
  Object.assign(dialog.querySelector("img"), { src: link.href, alt: image.alt });
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener("click", enlarge);
window.addEventListener("load", () => {
  (window.MathJax?.startup?.promise ?? Promise.resolve()).then(() => {
    watch();
    document.body.dataset.ready = "";
  });
});

// The theme's: a label that leaves out the button's own words.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".search-button-field").forEach((b) => b.removeAttribute("aria-label"));
});
