// Progressive enhancement: every page works without this.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const html = document.documentElement;
  html.classList.remove("no-script");

  // Theme: kept in a cookie, so that the server renders it and nothing flashes.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    event.preventDefault();
    const theme = button.dataset.themeChoice;
    const seconds = theme ? 31536000 : 0;
    document.cookie = `sidelight_theme=${theme}; Path=/; SameSite=Lax; Max-Age=${seconds}`;
    if (theme) html.dataset.theme = theme; else delete html.dataset.theme;
    all("[data-theme-choice]").forEach((item) => item.setAttribute("aria-pressed", String(item === button)));
  });

  // Filters are closed where they would be before the list. Without script the style sheet shows them.
  if (matchMedia("(min-width: 1100px)").matches) all("[data-wide-open]").forEach((item) => { item.open = true; });

  // Copy buttons.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    event.preventDefault();
    const source = button.dataset.copy ?? button.parentElement.querySelector("code")?.textContent ?? "";
    try {
      await navigator.clipboard.writeText(source);
      button.classList.add("done");
      say("Copied");
      setTimeout(() => button.classList.remove("done"), 1500);
    } catch { say("The browser does not allow copying"); }
  });

  const live = document.getElementById("live");
  function say(text) { if (live) live.textContent = text; }

  // Menus close on Escape and on a click elsewhere; one is open at a time.
  document.addEventListener("click", (event) => {
    all("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    all("details.menu[open]").forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
  });

  // Bulk selection.
  const selected = () => all("tbody input[type=checkbox][data-row]:checked");
  function count() {
    const number = selected().length;
    all("[data-selected]").forEach((item) => { item.textContent = number; });
    all("[data-needs-selection]").forEach((item) => { item.disabled = number === 0; });
    const whole = document.querySelector("input[data-all]");
    if (whole) {
      const rows = all("tbody input[type=checkbox][data-row]").length;
      whole.checked = number > 0 && number === rows;
      whole.indeterminate = number > 0 && number < rows;
    }
  }
  document.addEventListener("change", (event) => {
    if (event.target.matches("input[data-all]")) {
      all("tbody input[type=checkbox][data-row]").forEach((box) => { box.checked = event.target.checked; });
    }
    if (event.target.matches("input[type=checkbox]")) count();
    if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
  });
  count();

  // Empty fields of filter forms do not get into the URL.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "get") return;
    all("input, select", event.target).forEach((field) => { if (field.value === "") field.disabled = true; });
  });

  // A second click does not send a form again; a page that comes back may send its own.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => all("form").forEach((form) => { delete form.dataset.sent; }));

  // Keyboard: / search, j k rows, o open, x select, ? help.
  let at = -1;
  const rows = () => all("main table tbody tr");
  function go(step) {
    const items = rows();
    if (!items.length) return;
    items[at]?.classList.remove("at");
    at = Math.min(items.length - 1, Math.max(0, at + step));
    items[at].classList.add("at");
    items[at].scrollIntoView({ block: "nearest" });
    items[at].querySelector("a.row")?.focus({ preventScroll: true });
  }
  const help = document.getElementById("keys");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]") && event.target.type !== "checkbox") return;
    const row = rows()[at];
    const keys = {
      "/": () => document.getElementById("q")?.focus(),
      j: () => go(1),
      k: () => go(-1),
      o: () => row?.querySelector("a.row")?.click(),
      x: () => row?.querySelector("input[data-row]")?.click(),
      "?": () => help?.showModal(),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.querySelector("[data-show-keys]")?.addEventListener("click", () => help?.showModal());

  // A finding opens beside its list where there is room. The address is that of its page, so a link,
  // a reload and a browser without script show the same; Escape or Back lead to the list again.
  let panel = null, opener = null, listTitle = "";
  async function openPanel(link) {
    let answer = null;
    try { answer = await fetch(link.href); } catch { /* the page itself says what is wrong */ }
    if (!answer?.ok || answer.redirected) { location.assign(link.href); return; }
    const made = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (panel) history.replaceState({ panel: true }, "", link.href);
    else {
      listTitle = document.title;
      panel = document.createElement("aside");
      panel.className = "panel";
      panel.tabIndex = -1;
      document.body.append(panel);
      history.pushState({ panel: true }, "", link.href);
    }
    const close = document.createElement("button");
    close.type = "button";
    close.textContent = "Close";
    close.addEventListener("click", () => history.back());
    opener = link;
    document.title = made.title;
    panel.setAttribute("aria-label", made.querySelector("h1").textContent.trim());
    panel.replaceChildren(close, ...made.querySelector("main").childNodes);
    panel.scrollTop = 0;
    panel.focus();
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("main a.row");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    if (!/^\/findings\/[0-9]+$/.test(link.pathname) || !matchMedia("(min-width: 1100px)").matches) return;
    event.preventDefault();
    openPanel(link);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !panel) return;
    if (!document.querySelector("dialog[open], details.menu[open], :popover-open")) history.back();
  }, true);
  addEventListener("popstate", (event) => {
    if (event.state?.panel) { location.reload(); return; }
    if (!panel) return;
    panel.remove();
    panel = null;
    document.title = listTitle;
    opener.focus();
  });

  // Notices leave after a while; those with something to undo stay until they are closed.
  const toast = document.querySelector(".toast:not(.example)");
  if (toast && !toast.querySelector("form")) setTimeout(() => toast.remove(), 8000);
  toast?.querySelector("[data-close]")?.addEventListener("click", () => toast.remove());

  // Live parts: `data-events` is a URL of server-sent events, whose data is HTML of this console
  // by the id of the element that it replaces, as JSON. The server sends something every two
  // seconds; without a word of it the part says since when it is not live, until it is again.
  const SILENCE = 15000, RETRY = 3000; // milliseconds
  function replace(parts) {
    for (const [id, text] of Object.entries(parts)) {
      const old = document.getElementById(id);
      if (!old || old.contains(document.activeElement)) continue;
      const made = new DOMParser().parseFromString(text, "text/html").body;
      if (old.innerHTML === made.innerHTML) continue;
      old.replaceChildren(...made.childNodes);
      old.classList.remove("changed");
      requestAnimationFrame(() => old.classList.add("changed"));
    }
  }
  all("[data-events]").forEach((part) => {
    const mark = part.querySelector("[data-live]");
    let source = null, timer = 0, heard = new Date(), failures = 0;
    const isStale = () => part.classList.contains("stale");
    function hear(event) {
      clearTimeout(timer);
      timer = setTimeout(() => lose(true), SILENCE);
      if (isStale()) say("Live again");
      part.classList.remove("stale");
      mark.textContent = "live";
      heard = new Date();
      failures = 0;
      if (event.type === "message") replace(JSON.parse(event.data));
    }
    // A stream ends after a while: only what does not come back is lost.
    function lose(isSilent) {
      source.close();
      clearTimeout(timer);
      failures += 1;
      if ((isSilent || failures > 1) && !isStale()) {
        part.classList.add("stale");
        mark.textContent = `not live since ${heard.toLocaleTimeString()}: the server does not answer. Trying again; reload to sign in.`;
        say(mark.textContent);
      }
      timer = setTimeout(connect, RETRY);
    }
    function connect() {
      source = new EventSource(part.dataset.events);
      source.addEventListener("message", hear);
      source.addEventListener("alive", hear);
      source.addEventListener("error", () => lose(false));
      timer = setTimeout(() => lose(true), SILENCE);
    }
    addEventListener("pagehide", () => { source.close(); clearTimeout(timer); });
    // A page that comes back as it was left has no stream.
    addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
    connect();
  });
})();
