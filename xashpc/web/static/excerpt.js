// The end of a log is fetched when somebody opens it.
"use strict";
for (const box of document.querySelectorAll("[data-excerpt]")) {
  box.addEventListener("toggle", async () => {
    const pre = box.querySelector("pre");
    if (!box.open || pre.textContent) return;
    pre.textContent = "…";
    try {
      const response = await fetch(box.dataset.excerpt, { credentials: "same-origin" });
      const answer = await response.json();
      pre.textContent = response.ok ? (answer.cut ? "…\n" : "") + answer.text : answer.message;
      pre.scrollTop = pre.scrollHeight;
    } catch (error) {
      pre.textContent = "";
      box.open = false;
    }
  });
}
