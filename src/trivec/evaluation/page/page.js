"use strict";
(() => {
  const root = document.documentElement;
  const chinese = (navigator.language || "en").toLowerCase().startsWith("zh");
  root.dataset.lang = chinese ? "zh" : "en";
  root.lang = root.dataset.lang;
  document.getElementById("language").addEventListener("click", () => {
    root.dataset.lang = root.dataset.lang === "zh" ? "en" : "zh";
    root.lang = root.dataset.lang;
  });
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  const make = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const AT_ONCE = 100;
  for (const place of document.querySelectorAll("[data-browser]")) {
    const data = JSON.parse(document.getElementById(place.dataset.browser).textContent);
    const [first, second, which] = place.querySelectorAll("select");
    const list = place.querySelector(".questions"), more = place.querySelector(".more");
    data.systems.forEach((name, at) => {
      first.append(new Option(name, at));
      second.append(new Option(name, at));
    });
    first.value = data.base;
    second.value = data.other;
    let chosen = [], listed = 0;
    const found = (system, at, question) => {
      const box = make("div"), ordered = make("ol");
      box.append(make("b", `${data.systems[system]}: ${(data.scores[system][at] / 1000).toFixed(3)}`));
      for (const passage of data.found[system][at]) {
        const line = make("li", data.passages[passage][1]);
        line.prepend(make("span", data.passages[passage][0] + " ", "id"));
        if (question[1].includes(passage)) line.className = "hit";
        ordered.append(line);
      }
      box.append(ordered);
      return box;
    };
    const entry = (at) => {
      const question = data.questions[at], folded = make("details");
      const a = +first.value, b = +second.value;
      const marks = `${data.scores[a][at] / 1000} / ${data.scores[b][at] / 1000}`;
      const summary = make("summary", question[0] + " ");
      summary.append(make("span", marks, "id"));
      folded.append(summary);
      folded.addEventListener("toggle", () => {
        if (!folded.open || folded.children.length > 1) return;
        const lists = make("div", undefined, "lists");
        lists.append(found(a, at, question), found(b, at, question));
        const wanted = make("p", question[1].map((one) => "✓ " + data.passages[one].join(" ")).join("\n"));
        folded.append(wanted, lists);
      });
      return folded;
    };
    const add = () => {
      chosen.slice(listed, listed + AT_ONCE).forEach((at) => list.append(entry(at)));
      listed = Math.min(listed + AT_ONCE, chosen.length);
      more.hidden = listed === chosen.length;
      place.querySelector(".count").textContent = `${listed} / ${chosen.length}`;
    };
    const fill = () => {
      const a = data.scores[first.value], b = data.scores[second.value];
      const kept = { all: () => true, first: (d) => d > 0, second: (d) => d < 0, differ: (d) => d !== 0 };
      chosen = data.questions.map((_, at) => at).filter((at) => kept[which.value](a[at] - b[at]));
      listed = 0;
      list.replaceChildren();
      add();
    };
    more.addEventListener("click", add);
    [first, second, which].forEach((one) => one.addEventListener("change", fill));
    fill();
  }
})();
