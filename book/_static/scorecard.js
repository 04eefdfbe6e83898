// The scorecard's filter: leaves the checks that hold every word, and opens their chapters.
{
  const form = document.getElementById("scorecard-filter");
  const [words, seeds, fails] = form.querySelectorAll("input");
  const chapters = [...document.querySelectorAll("details.claims")];
  const parts = [...new Set(chapters.map((chapter) => chapter.parentElement))];

  const wanted = (row, title, texts) => {
    const text = `${title} ${row.textContent}`.toLowerCase();
    return texts.every((t) => text.includes(t))
      && (!seeds.checked || row.matches(".over-seeds"))
      && (!fails.checked || row.matches(".fails"));
  };

  const filter = () => {
    const texts = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const active = texts.length > 0 || seeds.checked || fails.checked;
    let count = 0;
    for (const chapter of chapters) {
      const rows = [...chapter.querySelectorAll("tbody tr")];
      const title = chapter.querySelector("summary a").textContent;
      for (const row of rows) row.hidden = !wanted(row, title, texts);
      const left = rows.filter((row) => !row.hidden).length;
      chapter.hidden = left === 0;
      chapter.open = active ? left > 0 : chapter.querySelector(".fails") !== null;
      count += left;
    }
    for (const part of parts) part.hidden = !part.querySelector("details:not([hidden])");
    form.querySelector("[role=status]").textContent =
      active ? `${count} ${count === 1 ? "check" : "checks"}` : "";
  };

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
}
