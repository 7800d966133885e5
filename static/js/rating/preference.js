// Two texts, seven choices. Which question is active, what is chosen, what is missing; drafts; the keyboard.
Rating.onCase((form, signal) => {
  const rows = [...form.querySelectorAll("[data-dimension]")];
  const missingShown = form.querySelector("[data-missing]");
  const nameShown = form.querySelector("[data-active-name]");
  const saved = form.querySelector("[data-saved]");
  const storageKey = `pair:${form.dataset.slot}`;
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  let revision = Number(form.dataset.revision);
  let sending = false;
  let activeSeconds = 0;

  const nameOf = (row) => row.querySelector("legend").textContent;
  const chosen = (row) => row.querySelector("input:checked");
  const open = () => rows.filter((row) => !chosen(row));
  const active = () => form.querySelector(".dimension.is-active") || rows[0];
  const choices = () =>
    Object.fromEntries(rows.filter(chosen).map((row) => [row.dataset.dimension, chosen(row).value]));

  const activate = (row, focus) => {
    for (const other of rows) other.classList.toggle("is-active", other === row);
    nameShown.textContent = `${nameOf(row)} ${rows.indexOf(row) + 1}/${rows.length}`;
    if (focus) row.focus({ preventScroll: true });
  };
  const sayMissing = () => {
    missingShown.textContent = `${form.dataset.openText} ${open().map(nameOf).join(", ")}`;
    for (const row of open()) row.classList.add("is-missing");
  };
  const draw = () => {
    for (const row of rows) row.classList.toggle("is-scored", Boolean(chosen(row)));
    form.classList.toggle("is-complete", open().length === 0);
    if (open().length === 0) missingShown.textContent = "";
    else if (missingShown.textContent) sayMissing();
  };
  const advance = () => {
    const next = rows[rows.indexOf(active()) + 1] || open()[0];
    if (next) activate(next, true);
  };
  const move = (by) =>
    activate(rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(active()) + by))], true);

  // What was chosen is in this browser before it is sent, and stays there until the server has it.
  const show = (state) => {
    saved.dataset.state = state;
    saved.textContent = saved.dataset[`${state}Text`];
  };
  let timer = 0;
  const send = async () => {
    clearTimeout(timer);
    const sent = revision;
    try {
      const answer = await fetch(form.dataset.draftUrl, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRFToken": token },
        body: JSON.stringify({ revision: sent, fields: choices() }),
        signal,
      });
      if (!answer.ok || answer.redirected) throw new Error(answer.status);
      if (sent === revision) {
        localStorage.removeItem(storageKey);
        show("saved");
      }
    } catch {
      if (signal.aborted) return;
      show("kept");
      timer = setTimeout(send, 5000);
    }
  };
  const keep = () => {
    revision += 1;
    localStorage.setItem(storageKey, JSON.stringify({ revision, fields: choices() }));
    show("saving");
    clearTimeout(timer);
    timer = setTimeout(send, 250);
  };
  const restore = () => {
    const kept = JSON.parse(localStorage.getItem(storageKey) || "null");
    if (!kept || kept.revision <= revision) return;
    for (const row of rows) {
      const input = row.querySelector(`input[value="${kept.fields[row.dataset.dimension]}"]`);
      if (input) input.checked = true;
    }
    revision = kept.revision;
    show("saving");
    send();
  };

  const choose = (value) => {
    active().querySelector(`input[value="${value}"]`).checked = true;
    draw();
    keep();
    advance();
  };
  form.addEventListener("change", (event) => {
    if (!event.target.matches("[type=radio]")) return;
    draw();
    keep();
  });
  form.addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-dimension]");
    if (row) activate(row, false);
  });
  form.addEventListener("click", (event) => {
    const stepper = event.target.closest("[data-move]");
    if (stepper) move(Number(stepper.dataset.move));
    else if (event.target.closest(".choice-keys label") && matchMedia("(width < 700px)").matches) setTimeout(advance, 160);
  });
  form.addEventListener("submit", (event) => {
    if (open().length > 0) {
      event.preventDefault();
      sayMissing();
      activate(open()[0], true);
    } else if (sending) {
      event.preventDefault();
    } else {
      sending = true;
      clearTimeout(timer);
      form.elements.active_seconds.value = activeSeconds;
      localStorage.removeItem(storageKey);
    }
  });
  window.addEventListener("pageshow", () => (sending = false), { signal });

  let lastSign = Date.now();
  for (const sign of ["keydown", "pointermove", "pointerdown", "wheel", "scroll"]) {
    document.addEventListener(sign, () => (lastSign = Date.now()), { signal, passive: true, capture: true });
  }
  const clock = setInterval(() => {
    if (!document.hidden && Date.now() - lastSign < 60000) activeSeconds += 1;
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(clock));

  const openDialog = (name) => {
    const dialog = document.getElementById(`dialog-${name}`);
    dialog.showModal();
    const first = dialog.querySelector("input:not([type=hidden])");
    if (first) first.focus();
  };
  const zoom = (detail) => document.dispatchEvent(new CustomEvent("rating:zoom", { detail }));
  const comment = form.querySelector("details.comment");
  const both = (act, ...keys) => keys.map((key) => [key, act]);
  const actions = new Map([
    ...both(() => choose("left"), "ArrowLeft", "1"),
    ...both(() => choose("right"), "ArrowRight", "2"),
    ...both(() => choose("tie"), "=", "t", "3"),
    ...both(() => choose("both_bad"), "x", "b", "4"),
    ["ArrowDown", () => move(1)],
    ["ArrowUp", () => move(-1)],
    ["c", () => {
      comment.open = true;
      comment.querySelector("textarea").focus();
    }],
    ["s", () => openDialog("skip")],
    ["?", () => openDialog("keys")],
    ["z", () => zoom("toggle")],
    ["+", () => zoom("in")],
    ["-", () => zoom("out")],
    ["f", () => zoom("full")],
    ["Enter", () => form.requestSubmit()],
  ]);
  const isTyping = (target) => target.closest("textarea, select, input:not([type=radio])") !== null;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if (document.querySelector("dialog[open]")) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
    const act = actions.get(event.key);
    if (!act) return;
    event.preventDefault();
    act();
  }, { signal });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open]");
    const closer = event.target.closest("dialog [data-close]");
    if (!opener && !closer) return;
    event.preventDefault();
    if (opener) openDialog(opener.dataset.open);
    else closer.closest("dialog").close();
  }, { signal });
  for (const button of document.querySelectorAll("[data-open]")) button.hidden = false;

  restore();
  activate(active(), false);
  draw();
});
