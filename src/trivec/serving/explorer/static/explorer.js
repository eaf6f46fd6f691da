"use strict";
(() => {
  const form = document.getElementById("controls");
  const settings = document.getElementById("settings");
  const view = () => document.getElementById("view");
  const WAIT = 180;
  let running = null, timer = 0;

  // A URL says only what differs from the page's own beginning.
  const address = (answer) => {
    const data = new URLSearchParams(new FormData(form));
    const arms = [...form.querySelectorAll("input[name=arm]")];
    if (arms.every((arm) => arm.checked === (arm.dataset.on === "1"))) {
      data.delete("arm");
      data.delete("set");
    }
    for (const field of form.elements) {
      if (field.dataset.default === field.value) data.delete(field.name);
    }
    if (!data.get("q")) data.delete("q");
    if (answer) data.set("answer", "1");
    return "/?" + data.toString();
  };

  const show = async (url, { push = false, controls = false, focus = "" } = {}) => {
    clearTimeout(timer);
    if (running) running.abort();
    const mine = running = new AbortController();
    view().setAttribute("aria-busy", "true");
    let text;
    try {
      const response = await fetch(url, { signal: mine.signal, headers: { Accept: "text/html" } });
      text = await response.text();
    } catch (error) {
      if (error.name !== "AbortError") location.assign(url);
      return;
    }
    if (mine !== running) return;
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.getElementById("view");
    if (!fresh) return location.assign(url);
    view().replaceWith(fresh);
    document.title = page.title;
    const other = page.querySelector("nav a");
    document.querySelector("nav a").replaceWith(other);
    if (controls) take(page);
    if (push) history.pushState(null, "", url);
    else history.replaceState(null, "", url);
    const target = focus && document.getElementById(focus);
    if (target) {
      target.focus({ preventScroll: true });
      target.scrollIntoView({ block: "nearest" });
    }
  };

  // Fields follow the address, where it was not the fields that made it.
  const take = (page) => {
    for (const field of form.elements) {
      if (!field.name || field.type === "submit") continue;
      const same = `[name="${CSS.escape(field.name)}"]`;
      const at = [...form.querySelectorAll(same)].indexOf(field);
      const other = page.getElementById("controls").querySelectorAll(same)[at];
      if (!other) continue;
      field.value = other.value;
      field.checked = other.checked;
    }
    outputs();
  };

  const outputs = () => {
    for (const range of form.querySelectorAll("input[type=range]")) {
      range.nextElementSibling.value = String(Number(range.value));
    }
  };

  form.addEventListener("input", (event) => {
    outputs();
    if (event.target.id === "q" && event.isComposing) return;
    clearTimeout(timer);
    timer = setTimeout(() => show(address()), WAIT);
  });
  form.addEventListener("compositionend", () => show(address()));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const answer = event.submitter && event.submitter.name === "answer";
    show(address(answer), { push: true, focus: answer ? "answer" : "" });
  });
  addEventListener("popstate", () => show(location.href, { controls: true }));

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (!link.matches(".explain, .close, .reset")) return;
    event.preventDefault();
    const focus = link.matches(".explain") ? "explanation" : "";
    show(link.href, { push: true, controls: true, focus });
  });

  // One passage stands in several lists: pointing at it shows all of its places.
  const same = (hit) => {
    for (const one of document.querySelectorAll(".hit")) {
      one.classList.toggle("is-same", Boolean(hit) && one.dataset.key === hit.dataset.key);
    }
  };
  document.addEventListener("mouseover", (event) => same(event.target.closest(".hit")));
  document.addEventListener("focusin", (event) => same(event.target.closest(".hit")));

  const go = (list, at) => {
    const hits = list ? list.querySelectorAll(".hit") : [];
    if (hits.length) hits[Math.max(0, Math.min(at, hits.length - 1))].focus();
  };
  const move = (key) => {
    const lists = [...document.querySelectorAll(".list")];
    const hit = document.activeElement.closest(".hit");
    if (!hit) return go(lists[0], 0);
    const list = hit.closest(".list");
    const at = [...list.querySelectorAll(".hit")].indexOf(hit);
    if (key === "j") go(list, at + 1);
    if (key === "k") go(list, at - 1);
    if (key === "h") go(lists[lists.indexOf(list) - 1], at);
    if (key === "l") go(lists[lists.indexOf(list) + 1], at);
  };
  document.addEventListener("keydown", (event) => {
    const writes = event.target.matches("input:not([type=checkbox]):not([type=range]), select");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      const close = document.querySelector(".close");
      if (close) close.click();
      else document.activeElement.blur();
    }
    if (writes) return;
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("q").focus();
    }
    if ("jkhl".includes(event.key)) move(event.key);
    if (event.key === "Enter" && event.target.matches(".hit")) event.target.querySelector(".explain").click();
  });

  if (matchMedia("(min-width: 900px)").matches) settings.open = true;
})();
