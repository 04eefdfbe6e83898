// The meaning of a glossary word beside its link, under the pointer and on keyboard focus; Escape
// hides it. Without this file the browser shows the link's title.
document.addEventListener("DOMContentLoaded", () => {
  const tip = document.createElement("div");
  Object.assign(tip, { id: "meaning", role: "tooltip", className: "tex2jax_process" });
  let timer;
  const hide = () => tip.remove();
  const stay = () => clearTimeout(timer);
  const leave = () => { timer = setTimeout(hide, 250); }; // time to move onto the tip
  const show = (link) => {
    stay();
    tip.textContent = link.dataset.meaning;
    document.body.append(tip);
    const place = link.getClientRects()[0];
    const right = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(place.left, right)) + scrollX}px`;
    tip.style.top = `${place.bottom + 4 + scrollY}px`;
    if (tip.textContent.includes("\\(")) window.MathJax?.typesetPromise?.([tip]);
  };
  for (const word of document.querySelectorAll("a[title] > .std-term")) {
    const link = word.parentElement;
    link.dataset.meaning = link.title;
    link.removeAttribute("title");
    link.setAttribute("aria-describedby", tip.id);
    for (const event of ["mouseenter", "focus"]) link.addEventListener(event, () => show(link));
    for (const event of ["mouseleave", "blur"]) link.addEventListener(event, leave);
  }
  tip.addEventListener("mouseenter", stay);
  tip.addEventListener("mouseleave", leave);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
});
