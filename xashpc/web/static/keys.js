// Keyboard: g + letter goes to a page, j/k walk through rows, n/p turn pages, / finds, ? helps.
"use strict";
(() => {
  let waiting = 0;
  const typing = (element) => element.matches("input:not([type=checkbox]), select, textarea");

  function walk(step) {
    const rows = [...document.querySelectorAll("a.row")];
    if (!rows.length) return;
    const current = document.activeElement.closest("tr, article");
    const at = rows.findIndex((row) => current && current.contains(row));
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  function choose() {
    const row = document.activeElement.closest("tr");
    const box = row && row.querySelector("input[type=checkbox]:not(:disabled)");
    if (box) box.click();
  }

  const commands = {
    "?": () => document.querySelector("a.help").click(),
    "/": () => { const field = document.querySelector(".filters input"); if (field) field.focus(); },
    j: () => walk(1), k: () => walk(-1), x: choose,
    n: () => follow("a[rel=next]"), p: () => follow("a[rel=prev]"),
  };

  function follow(selector) {
    const link = document.querySelector(selector);
    if (link) link.click();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape" && typing(event.target)) { event.target.blur(); return; }
    if (typing(event.target) || event.target.closest("[data-own-keys]")) return;
    if (Date.now() < waiting) {
      waiting = 0;
      follow(`nav [data-go="${CSS.escape(event.key)}"]`);
      return;
    }
    if (event.key === "g") { waiting = Date.now() + 1500; return; }
    const command = commands[event.key];
    if (command) { event.preventDefault(); command(); }
  });
})();
