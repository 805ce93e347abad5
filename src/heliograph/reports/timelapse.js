(() => {
  "use strict";
  const made = (tag, text, parent) => {
    const found = document.createElement(tag);
    found.textContent = text;
    parent.append(found);
    return found;
  };
  for (const box of document.querySelectorAll(".lapse")) {
    const data = JSON.parse(box.querySelector("script").textContent);
    const bar = made("div", "", box);
    bar.className = "bar";
    const play = made("button", "Play", bar);
    play.type = "button";
    const slider = made("input", "", bar);
    Object.assign(slider, { type: "range", min: 0, max: data.moments.length - 1, step: 1 });
    slider.value = data.moments.length - 1;
    slider.setAttribute("aria-label", `Moment in time, role ${box.dataset.role}`);
    const title = made("p", "", box);
    title.className = "moment";
    title.setAttribute("aria-live", "polite");
    const scroll = made("div", "", box);
    Object.assign(scroll, { className: "scroll", tabIndex: 0 });
    const table = made("table", "", scroll);
    const head = made("tr", "", made("thead", "", table));
    made("th", "", head);
    for (const word of data.messages) made("th", word, head).scope = "col";
    const body = made("tbody", "", table);
    const cells = data.meanings.map((meaning) => {
      const row = made("tr", "", body);
      made("th", meaning, row).scope = "row";
      return data.messages.map(() => made("td", "", row));
    });
    const note = made("p", "", box);
    note.className = "note";
    const show = () => {
      const now = data.moments[slider.value];
      title.textContent = [now.title, now.told].filter(Boolean).join(": ");
      slider.setAttribute("aria-valuetext", now.title);
      now.shares.forEach((line, i) => line.forEach((share, j) => {
        const cell = cells[i][j];
        cell.style.setProperty("--share", share);
        cell.classList.toggle("dark", share > 0.55);
        cell.textContent = share >= 0.995 ? "1" : share >= 0.005 ? share.toFixed(2).slice(1) : "";
      }));
      const told = [now.changes && `Changed: ${now.changes}.`];
      if (now.born.length) told.push(`First said: ${now.born.join(", ")}.`);
      if (now.died.length) told.push(`Not said any more: ${now.died.join(", ")}.`);
      note.textContent = told.filter(Boolean).join(" ");
    };
    let timer = null;
    const stop = () => {
      clearInterval(timer);
      timer = null;
      play.textContent = "Play";
    };
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (+slider.value === +slider.max) slider.value = 0;
      play.textContent = "Stop";
      show();
      timer = setInterval(() => {
        slider.value = +slider.value + 1;
        show();
        if (+slider.value === +slider.max) stop();
      }, 700);
    });
    slider.addEventListener("input", () => { stop(); show(); });
    show();
  }
})();
