// The keyboard. Keys rest while a field is being typed in or a dialog is open. Rating.capture(listener) gives
// the next keys to one listener, until it is released or answers false for a key that is not its own.
(() => {
  let listener = null;
  Rating.capture = (wanted) => {
    listener = wanted;
    return () => {
      if (listener === wanted) listener = null;
    };
  };
  Rating.captured = (event) => listener !== null && listener(event) !== false;
})();

Rating.onCase((form, signal) => {
  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));
  const key = (detail) => () => tell("rating:key", detail);
  const step = (detail) => () => tell("rating:step", detail);
  const zoom = (detail) => () => tell("rating:zoom", detail);

  const openDialog = (name) => {
    const dialog = document.getElementById(`dialog-${name}`);
    dialog.showModal();
    const first = dialog.querySelector("input:not([type=hidden]), button");
    if (first) first.focus();
  };
  const press = (name) => () => {
    const target = document.querySelector(`[data-key="${name}"]`);
    if (target) target.click();
  };
  const revise = () => {
    const link = document.querySelector("[data-revise]");
    if (link) link.click();
  };
  const fold = () => {
    const thinking = [...document.querySelectorAll("[data-thinking]")];
    const isOpen = thinking.some((section) => section.open);
    for (const section of thinking) section.open = !isOpen;
  };

  const actions = {
    x: key({ score: "x" }),
    ArrowDown: key({ move: 1 }),
    ArrowUp: key({ move: -1 }),
    c: key({ comment: "dimension" }),
    C: key({ comment: "whole" }),
    Enter: key({ submit: true }),
    j: step({ move: 1 }),
    k: step({ move: -1 }),
    m: step({ mark: true }),
    v: step({ severity: true }),
    g: step({ dimension: true }),
    w: step({ words: true }),
    p: step({ point: true }),
    n: step({ note: true }),
    Backspace: step({ clear: true }),
    Delete: step({ clear: true }),
    h: fold,
    e: revise,
    s: () => document.querySelector("[data-open=skip]") && openDialog("skip"),
    b: press("b"),
    r: press("r"),
    d: press("d"),
    z: zoom("toggle"),
    "+": zoom("in"),
    "=": zoom("in"),
    "-": zoom("out"),
    f: zoom("full"),
    i: zoom("next"),
    "?": () => openDialog("keys"),
  };
  for (const digit of "012345") actions[digit] = key({ score: digit });

  const isTyping = (target) => target.closest("textarea, select, input:not([type=radio])") !== null;
  const hasOwnEnter = (target) => target.closest("a, button, summary") !== null;

  const leave = (event) => {
    const back = document.querySelector("[data-leave-revise]");
    if (event.target.closest("[data-revise-form]")) back.focus();
    else if (isTyping(event.target)) event.target.blur();
    else if (back) back.click();
  };

  document.addEventListener(
    "keydown",
    (event) => {
      if (event.isComposing || document.querySelector("dialog[open]")) return;
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        const editor = event.target.closest("[data-revise-form]");
        if (editor) editor.requestSubmit();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (!isTyping(event.target) && Rating.captured(event)) {
        event.preventDefault();
        return;
      }
      if (event.repeat) return;
      if (event.key === "Escape") {
        leave(event);
        return;
      }
      if (isTyping(event.target) || (event.key === "Enter" && hasOwnEnter(event.target))) return;
      const act = actions[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    },
    { signal },
  );

  document.addEventListener(
    "click",
    (event) => {
      const opener = event.target.closest("[data-open]");
      const closer = event.target.closest("dialog [data-close]");
      const back = event.target.closest("[data-leave-revise]");
      const editor = document.getElementById("editor");
      if (opener) {
        event.preventDefault();
        openDialog(opener.dataset.open);
      } else if (closer) {
        event.preventDefault();
        closer.closest("dialog").close();
      } else if (back && editor && editor.contains(back)) {
        event.preventDefault();
        editor.replaceChildren();
        tell("rating:key", { focus: true });
      }
    },
    { signal },
  );
  for (const button of document.querySelectorAll("[data-open]")) button.hidden = false;

  // The editor and the strip of the case before come as parts of pages; where that fails, the page itself opens.
  const part = async (url, body) => {
    const headers = { "HX-Request": "true" };
    const answer = await fetch(url, { method: body ? "POST" : "GET", headers, body, redirect: "manual" });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.text();
  };
  const openEditor = async (link) => {
    const editor = document.getElementById("editor");
    editor.innerHTML = await part(link.href);
    editor.dispatchEvent(new CustomEvent("htmx:afterSwap", { bubbles: true }));
    const current = document.querySelector("#narrative .is-current");
    const wanted = current && editor.querySelector(`[name="step-${current.dataset.step}"]`);
    const field = wanted || editor.querySelector("textarea");
    if (field) field.focus();
  };
  document.addEventListener(
    "click",
    (event) => {
      const link = event.target.closest("a[data-revise]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const isAway = (problem) => problem instanceof TypeError && Rating.draft; // no answer at all: stay where she is
      openEditor(link).catch((problem) =>
        isAway(problem) ? Rating.draft.show("kept", Rating.words.offline) : location.assign(link.href),
      );
    },
    { signal },
  );
  document.addEventListener(
    "submit",
    (event) => {
      const asked = event.target;
      if (!asked.matches("[data-reveal]")) return;
      event.preventDefault();
      part(asked.action, new URLSearchParams(new FormData(asked)))
        .then((html) => (document.getElementById("previous").outerHTML = html))
        .catch(() => asked.submit());
    },
    { signal },
  );
});
