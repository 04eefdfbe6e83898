// The search page: excerpts hold prose only, a page that is opened is not covered with marks, and a
// search from a file, where a browser reads no other page, says so.
const CLUTTER = ".bd-header-article, #jb-print-docs-body, .prev-next-area, .cell, .claims-wrapper, pre, div.math";
const whole = Search.htmlToText;
Search.htmlToText = (html, anchor) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  page.querySelectorAll(CLUTTER).forEach((part) => part.remove());
  page.querySelectorAll("span.math").forEach((part) => { part.textContent = "…"; });
  return whole(page.documentElement.outerHTML, anchor).replace(/\s+/g, " ");
};
const parse = Search._parseQuery;
Search._parseQuery = (query) => {
  const parsed = parse(query);
  localStorage.removeItem("sphinx_highlight_terms");
  return parsed;
};
if (location.protocol === "file:") {
  const note = document.createElement("p");
  note.textContent = "Opened from a file, the search lists titles only. The command “make serve” gives excerpts too.";
  document.getElementById("search-results").before(note);
}
