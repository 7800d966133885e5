// The keyboard. Keys rest while a field is being typed in or a dialog is open.
Rating.onCase((form, signal) => {
  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));
  const steps = () => [...document.querySelectorAll("#narrative [data-step]")];
  const reviseLink = document.querySelector("[data-revise]");

  const moveStep = (by) => {
    const all = steps();
    if (all.length === 0) return;
    const at = all.findIndex((step) => step.classList.contains("is-current"));
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + by))];
    for (const step of all) {
      step.classList.toggle("is-current", step === next);
      if (step === next) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    }
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };

  const openDialog = (name) => {
    const dialog = document.getElementById(`dialog-${name}`);
    dialog.showModal();
    const first = dialog.querySelector("input:not([type=hidden])");
    if (first) first.focus();
  };

  const actions = {
    x: () => tell("rating:key", { score: "x" }),
    ArrowDown: () => tell("rating:key", { move: 1 }),
    ArrowUp: () => tell("rating:key", { move: -1 }),
    j: () => moveStep(1),
    k: () => moveStep(-1),
    c: () => tell("rating:key", { comment: "dimension" }),
    C: () => tell("rating:key", { comment: "whole" }),
    e: () => reviseLink.click(),
    s: () => openDialog("skip"),
    z: () => tell("rating:zoom", "toggle"),
    "+": () => tell("rating:zoom", "in"),
    "=": () => tell("rating:zoom", "in"),
    "-": () => tell("rating:zoom", "out"),
    f: () => tell("rating:zoom", "full"),
    "?": () => openDialog("keys"),
    Enter: () => tell("rating:key", { submit: true }),
  };
  for (const digit of "012345") actions[digit] = () => tell("rating:key", { score: digit });

  const isTyping = (target) => target.closest("textarea, select, input:not([type=radio])") !== null;
  const hasOwnEnter = (target) => target.closest("a, button, summary") !== null;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if (event.key === "Escape") return leave(event);
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && hasOwnEnter(event.target)) return;
    const act = actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }, { signal });

  const leave = (event) => {
    if (document.querySelector("dialog[open]")) return;
    const back = document.querySelector("[data-leave-revise]");
    if (event.target.closest("[data-revise-form]")) back.focus();
    else if (isTyping(event.target)) event.target.blur();
    else if (back) back.click();
  };

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open]");
    const closer = event.target.closest("dialog [data-close]");
    const step = event.target.closest("#narrative [data-step]");
    if (opener) {
      event.preventDefault();
      openDialog(opener.dataset.open);
    } else if (closer) {
      event.preventDefault();
      closer.closest("dialog").close();
    } else if (event.target.closest("[data-close-previous]")) {
      document.querySelector("[data-previous]").hidden = true;
    } else if (step && !step.classList.contains("is-current")) {
      const all = steps();
      for (const other of all) other.classList.toggle("is-current", other === step);
    }
  }, { signal });
  for (const button of document.querySelectorAll("[data-open], [data-close-previous]")) button.hidden = false;
  document.addEventListener("htmx:afterSwap", () => {
    const first = document.querySelector("[data-revise-form] textarea");
    if (first) first.focus();
  }, { signal });
});
