// A panel of radio groups that is worked through by keyboard: one group is active, a choice moves on, what is
// open is named before sending. `keys` maps further keys to actions; digits and letters of the groups come first.
const Panel = (form, signal, { onChange = () => {}, keys = {}, keyOf = () => null }) => {
  const rows = [...form.querySelectorAll("[data-dimension]")];
  const missingShown = form.querySelector("[data-missing]");
  const nameShown = form.querySelector("[data-active-name]");
  let sending = false;

  const nameOf = (row) => row.querySelector("legend").textContent.trim();
  const chosen = (row) => row.querySelector("input:checked");
  const open = () => rows.filter((row) => !chosen(row));
  const active = () => form.querySelector(".dimension.is-active") || rows[0];

  const activate = (row, focus) => {
    for (const other of rows) other.classList.toggle("is-active", other === row);
    if (nameShown) nameShown.textContent = `${nameOf(row)} ${rows.indexOf(row) + 1}/${rows.length}`;
    if (!focus) return;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
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
    else form.querySelector("[data-submit]").focus();
  };
  const move = (by) =>
    activate(rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(active()) + by))], true);
  const choose = (input) => {
    input.checked = true;
    draw();
    onChange();
    advance();
  };

  form.addEventListener("change", (event) => {
    if (!event.target.matches("[type=radio]")) return;
    draw();
    onChange();
  });
  form.addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-dimension]");
    if (row) activate(row, false);
  });
  form.addEventListener("click", (event) => {
    const stepper = event.target.closest("[data-move]");
    const onPhone = nameShown && matchMedia("(width < 700px)").matches;
    if (stepper) move(Number(stepper.dataset.move));
    else if (onPhone && event.target.closest(".score-keys label")) setTimeout(advance, 160);
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
      form.dispatchEvent(new CustomEvent("panel:sending"));
    }
  });
  window.addEventListener("pageshow", () => (sending = false), { signal });
  form.addEventListener("rating:unsent", () => (sending = false));

  const openDialog = (name) => {
    const dialog = document.getElementById(`dialog-${name}`);
    dialog.showModal();
    const first = dialog.querySelector("input:not([type=hidden])");
    if (first) first.focus();
  };
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open]");
    const closer = event.target.closest("dialog [data-close]");
    if (!opener && !closer) return;
    event.preventDefault();
    if (opener) openDialog(opener.dataset.open);
    else closer.closest("dialog").close();
  }, { signal });
  for (const button of document.querySelectorAll("[data-open]")) button.hidden = false;

  const zoom = (detail) => document.dispatchEvent(new CustomEvent("rating:zoom", { detail }));
  const actions = {
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    "?": () => openDialog("keys"),
    z: () => zoom("toggle"),
    "+": () => zoom("in"),
    "-": () => zoom("out"),
    f: () => zoom("full"),
    Enter: () => form.requestSubmit(),
    ...keys,
  };
  const isTyping = (target) => target.closest("textarea, select, input:not([type=radio])") !== null;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if (document.querySelector("dialog[open]")) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "Enter" && event.target.closest("a, button:not([data-submit]), summary")) return;
    const input = keyOf(event.key, active());
    const act = input ? () => choose(input) : actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }, { signal });

  const choices = () =>
    Object.fromEntries(rows.filter(chosen).map((row) => [row.dataset.dimension, chosen(row).value]));
  return { rows, choices, activate, active, draw, openDialog };
};
