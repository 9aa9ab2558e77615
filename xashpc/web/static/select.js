// The button that compares is there to press once spectra are chosen.
"use strict";
(() => {
  const form = document.querySelector("[data-select]");
  if (!form) return;
  const button = form.querySelector("[data-needs]"), words = form.querySelector("[data-chosen]");
  function count() {
    const number = form.querySelectorAll("input:checked").length;
    button.disabled = number === 0;
    words.textContent = number ? String(number) : "chosen";
  }
  form.addEventListener("change", count);
  count();
})();
