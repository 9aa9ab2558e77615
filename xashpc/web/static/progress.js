// Ask for progress every few seconds while the page is looked at, and write what changed.
"use strict";
(() => {
  const root = document.querySelector("[data-poll]");
  const live = document.querySelector("[data-live]");
  if (!root) return;
  const EVERY_MS = 3000, LONGEST_MS = 60000;
  let pause = EVERY_MS;

  function put(element, value) {
    if (!element) return;
    const text = typeof value === "number" ? value.toLocaleString("en") : String(value);
    if (element.textContent !== text) element.textContent = text;
  }

  function show(campaign) {
    const card = root.querySelector(`[data-campaign="${CSS.escape(campaign.id)}"]`);
    if (!card) return false;
    if (campaign.counting) return true; // a large campaign: the numbers come later
    for (const name of ["percent", "ended", "total", "stage"])
      put(card.querySelector(`[data-field=${name}]`), campaign[name]);
    const stage = card.querySelector("[data-field=stage]");
    if (stage) stage.className = `stage stage-${campaign.stage}`;
    for (const [name, number] of Object.entries(campaign.counts))
      put(card.querySelector(`[data-count=${name}]`), number);
    for (const piece of campaign.bar) {
      const part = card.querySelector(`.bar [data-part=${piece.part}]`);
      part.setAttribute("x", piece.x);
      part.setAttribute("width", piece.width);
    }
    card.querySelector(".bar").setAttribute("aria-label", `${campaign.percent} percent ended`);
    return true;
  }

  function take(answer) {
    const campaigns = answer.campaigns || (answer.counts ? [answer] : []);
    const known = campaigns.map(show);
    if (known.includes(false)) location.reload(); // a campaign began
    if (answer.states)
      for (const [state, number] of Object.entries(answer.states))
        put(root.querySelector(`[data-state=${CSS.escape(state)}]`), number);
    if (root.dataset.reload !== undefined && answer.running &&
        answer.running.join(",") !== root.dataset.reload) location.reload();
  }

  async function ask() {
    if (!document.hidden) {
      try {
        const response = await fetch(root.dataset.poll, { credentials: "same-origin" });
        if (!response.ok) throw new Error(String(response.status));
        take(await response.json());
        pause = EVERY_MS;
        put(live, "live");
      } catch (error) {
        pause = Math.min(2 * pause, LONGEST_MS);
        put(live, `no answer; trying again in ${Math.round(pause / 1000)} s`);
      }
    }
    setTimeout(ask, pause);
  }
  setTimeout(ask, 500);
})();
