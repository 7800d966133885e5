// The theme button, menus that close when you leave them, lines to put away, and a clean log-out. Pages work without this file.
(() => {
  const root = document.documentElement;
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const current = () => root.dataset.theme || (systemDark.matches ? "dark" : "light");

  for (const button of document.querySelectorAll("[data-theme-toggle]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = current() === "dark" ? "light" : "dark";
      root.dataset.theme = next;
      localStorage.setItem("theme", next);
      document.dispatchEvent(new CustomEvent("studio:theme", { detail: next }));
    });
  }

  // Lines that can be put away. They may come with a later part of the page.
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-dismiss]");
    if (button) button.closest("[data-dismissible]").remove();
  });

  // Logging out leaves nothing of hers in this browser. What a case's page could not send goes to the server first;
  // the rating page itself sees to its own.
  const deliver = async (key, form) => {
    const entry = JSON.parse(localStorage.getItem(key));
    const send = (revision) =>
      fetch(entry.url, {
        method: "POST",
        headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value, "Content-Type": "application/json" },
        body: JSON.stringify({ ...entry, revision, page: "log-out", count: 0, active_seconds: entry.seconds, late: true }),
        signal: AbortSignal.timeout(5_000),
      });
    const answer = await send(entry.revision);
    if (answer.status !== 409) return;
    const newer = await answer.json();
    if (newer.page === entry.page) await send(newer.revision);
  };
  window.addEventListener("submit", async (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches("[data-log-out]")) return;
    const prefix = `rating:journal:${form.dataset.logOut}:`;
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(prefix));
    if (keys.length === 0) return;
    event.preventDefault();
    await Promise.allSettled(keys.map((key) => deliver(key, form)));
    for (const key of keys) localStorage.removeItem(key);
    form.submit();
  });

  const menus = document.querySelectorAll("details[data-menu]");
  document.addEventListener("click", (event) => {
    for (const menu of menus) if (menu.open && !menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus) {
      if (!menu.open) continue;
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
})();
