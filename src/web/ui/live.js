// Keeps the page fresh: asks for the changing part whenever the server says that something changed.
(() => {
  "use strict";
  const main = document.getElementById("live");
  const contact = document.getElementById("contact");
  const POLL = 15000; // also without events, in milliseconds
  const LEAST = 1000; // least time between two refreshes
  let offset = 0; // the server's clock minus ours
  let last = 0;
  let timer = 0;
  let lost = false;

  function age(ms) {
    const s = Math.max(0, Math.floor(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
    const two = (a, u, b, v) => a + u + (b ? b + v : "");
    if (s < 120) return s + "s";
    if (m < 10) return two(m, "m", s % 60, "s");
    if (m < 180) return m + "m";
    if (h < 8) return two(h, "h", m % 60, "m");
    if (h < 48) return h + "h";
    if (d < 8) return two(d, "d", h % 24, "h");
    return d < 730 ? d + "d" : two(Math.floor(d / 365), "y", d % 365, "d");
  }

  function adopt() {
    const state = document.getElementById("state");
    if (!state) return;
    offset = Number(state.dataset.now) - Date.now();
    document.title = state.dataset.title;
    const icon = document.getElementById("icon");
    const href = "/ui/icon-" + state.dataset.health + ".svg";
    if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
  }

  function tick() {
    const now = Date.now() + offset;
    for (const time of document.querySelectorAll("time[data-at]")) {
      const text = age(now - Number(time.dataset.at));
      if (time.textContent !== text) time.textContent = text;
    }
  }

  function say(text, state) {
    if (contact.textContent !== text) contact.textContent = text;
    contact.className = "contact " + state;
  }

  function found() {
    lost = false;
    say("live", "live");
  }

  function gone() {
    if (lost) return;
    lost = true;
    say("No contact since " + new Date(Date.now() + offset).toISOString().slice(11, 19) + " UTC: what you see is old", "lost");
  }

  // What the reader has opened, written and focused stays.
  function replace(html) {
    const details = [...main.querySelectorAll("details[id]")].map((d) => [d.id, d.open]);
    const fields = [...main.querySelectorAll("input[id]")].map((i) => [i.id, i.value]);
    const focus = main.contains(document.activeElement) ? document.activeElement : null;
    const focused = focus && (focus.id ? "#" + CSS.escape(focus.id) : focus.matches("a[href]") ? 'a[href="' + CSS.escape(focus.getAttribute("href")) + '"]' : focus.matches("summary") && focus.parentNode.id ? "#" + CSS.escape(focus.parentNode.id) + " > summary" : null);
    const cursor = focus && focus.selectionStart;
    main.innerHTML = html;
    for (const [id, open] of details) {
      const element = document.getElementById(id);
      if (element) element.open = open;
    }
    for (const [id, value] of fields) {
      const element = document.getElementById(id);
      if (element) element.value = value;
    }
    const again = focused && main.querySelector(focused);
    if (again) {
      again.focus({ preventScroll: true });
      if (cursor !== undefined && again.setSelectionRange) again.setSelectionRange(cursor, cursor);
    }
    adopt();
    tick();
  }

  async function refresh() {
    timer = 0;
    last = Date.now();
    try {
      const response = await fetch(location.pathname + location.search, { headers: { "X-Fragment": "1" }, cache: "no-store" });
      if (!response.ok) throw new Error(response.status);
      replace(await response.text());
      found();
    } catch {
      gone();
    }
  }

  function soon() {
    if (!timer) timer = setTimeout(refresh, Math.max(0, last + LEAST - Date.now()));
  }

  main.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-ack]")) return;
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (!response.ok) throw new Error((await response.json()).detail || response.statusText);
      form.closest("details").open = false;
      refresh();
    } catch (error) {
      button.disabled = false;
      let words = form.querySelector(".problem");
      if (!words) {
        words = document.createElement("p");
        words.className = "problem";
        words.setAttribute("role", "alert");
        form.append(words);
      }
      words.textContent = "Not acknowledged: " + error.message;
    }
  });

  const events = new EventSource("/api/v1/events");
  let first = true;
  events.addEventListener("change", () => {
    if (first && !lost) found();
    else soon();
    first = false;
  });
  events.onerror = () => {
    if (events.readyState !== EventSource.OPEN) soon();
  };
  setInterval(() => {
    if (Date.now() - last > POLL) soon();
  }, POLL / 3);
  setInterval(tick, 1000);
  last = Date.now();
  adopt();
})();
