// The steps of the text: which one is in hand, and what is said of each. A step's mark lives in its fields
// (mark-<n> and its parts); here are the chip that shows it, the panel that writes it, and its keys.
Rating.onCase((form, signal) => {
  const narrative = document.getElementById("narrative");
  const panel = document.getElementById("mark-panel");
  const words = document.getElementById("rating-words").dataset;
  const steps = narrative ? [...narrative.querySelectorAll("[data-step]")] : [];
  if (!panel || steps.length === 0) return;

  const HINTS = "123456789abcdefghijklnopqrstuvwxyzABCDEFGHIJKLNOPQRSTUVWXYZ"; // no m: it means the current step
  const PARTS = ["severity", "dimension", "note", "span", "point"];
  const types = [...panel.querySelectorAll("[data-mark-value]")];
  const severities = [...panel.querySelectorAll("[data-mark-severity]")];
  const dimensionChoice = panel.querySelector("[data-mark-dimension]");
  const note = panel.querySelector("[data-mark-note]");
  const hint = document.getElementById("mark-hint");
  const nameOf = (button) => button.lastChild.textContent.trim();

  const field = (step, part) => form.elements[`mark-${step.dataset.step}${part ? `-${part}` : ""}`];
  const value = (step, part) => field(step, part).value;
  const set = (step, part, text) => value(step, part) !== text && Rating.set(field(step, part), text);
  const textOf = (step) => step.querySelector("[data-text]");
  const current = () => steps.find((step) => step.classList.contains("is-current"));
  const isError = (step) => !["", "ok"].includes(value(step));

  const spanOf = (step) => {
    const [start, end] = value(step, "span").split("-").map(Number);
    const base = Number(step.dataset.start);
    return end ? { start: start - base, end: end - base } : null;
  };
  const setSpan = (step, span) => {
    const base = Number(step.dataset.start);
    set(step, "span", span ? `${base + span.start}-${base + span.end}` : "");
  };

  const isOpenAt = (step) => !panel.hidden && panel.parentNode === step;

  // Drawing: the chip in words, the span in the text, the points on the image, the panel's state.
  const chips = new Map(
    steps.map((step) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.className = "mark-chip";
      step.append(chip);
      return [step, chip];
    }),
  );
  const wordsOf = (step) => {
    const type = types.find((button) => button.dataset.markValue === value(step));
    const dimension = [...dimensionChoice.options].find((option) => option.value === value(step, "dimension"));
    return [
      type ? nameOf(type) : value(step),
      value(step, "severity") && words[value(step, "severity")],
      value(step, "dimension") && dimension && dimension.textContent,
      value(step, "point") && words.point,
      value(step, "note"),
    ]
      .filter(Boolean)
      .join(" · ");
  };
  const draw = (step) => {
    step.classList.toggle("is-right", value(step) === "ok");
    step.classList.toggle("is-wrong", isError(step));
    chips.get(step).textContent = wordsOf(step);
    chips.get(step).hidden = !value(step);
    step.querySelector("[data-mark-open]").setAttribute("aria-expanded", String(isOpenAt(step)));
    Rating.spans.paint(textOf(step), spanOf(step));
    if (panel.parentNode !== step) return;
    panel.classList.toggle("has-error", isError(step));
    panel.classList.toggle("has-mark", Boolean(value(step)));
    for (const button of types) button.setAttribute("aria-pressed", String(button.dataset.markValue === value(step)));
    for (const button of severities) {
      button.setAttribute("aria-pressed", String(button.dataset.markSeverity === value(step, "severity")));
    }
    dimensionChoice.value = value(step, "dimension");
    if (document.activeElement !== note) note.value = value(step, "note");
  };
  const drawPoints = () =>
    Rating.viewer.show(
      steps.filter((step) => value(step, "point")).map((step) => {
        const [image, x, y] = value(step, "point").split(":").map(Number);
        return { image, x, y, label: step.dataset.step };
      }),
    );
  const drawAll = () => {
    steps.forEach(draw);
    drawPoints();
  };

  // Moving.
  const makeCurrent = (step, look) => {
    for (const other of steps) {
      other.classList.toggle("is-current", other === step);
      if (other === step) other.setAttribute("aria-current", "step");
      else other.removeAttribute("aria-current");
    }
    const fold = step.closest("details.fold");
    if (fold) fold.open = true;
    if (!look) return;
    step.focus({ preventScroll: true });
    step.scrollIntoView({ block: "nearest" });
  };
  const move = (by) => {
    const at = current() ? steps.indexOf(current()) + by : by > 0 ? 0 : steps.length - 1;
    makeCurrent(steps[Math.max(0, Math.min(steps.length - 1, at))], true);
  };
  const inHand = () => {
    if (!current()) move(1);
    return current();
  };

  // The panel.
  let release = () => {};
  const say = (text) => (hint.textContent = text || "");
  const open = (step) => {
    if (!panel.hidden) close();
    makeCurrent(step, true);
    step.append(panel);
    panel.hidden = false;
    say("");
    release = Rating.capture((event) => {
      if (event.key === "Escape") close();
      else if (/^[0-9]$/.test(event.key) && types[Number(event.key)]) judge(step, types[Number(event.key)], true);
      else return false;
      return true;
    });
    draw(step);
    panel.scrollIntoView({ block: "nearest" });
    (panel.querySelector("[aria-pressed=true]") || types[0]).focus({ preventScroll: true });
  };
  const close = () => {
    release();
    const step = panel.parentNode;
    panel.hidden = true;
    if (!chips.has(step)) return;
    if (!value(step)) clear(step);
    draw(step);
    document.dispatchEvent(new CustomEvent("rating:key", { detail: { focus: true } }));
  };
  const judge = (step, button, andClose) => {
    set(step, "", button.dataset.markValue);
    if (!isError(step)) set(step, "severity", "");
    if (andClose) close();
  };
  const clear = (step) => {
    set(step, "", "");
    for (const part of PARTS) set(step, part, "");
  };
  const severity = (step) => {
    const next = { "": "minor", minor: "major", major: "" };
    set(step, "severity", next[value(step, "severity")]);
  };
  const withActive = (step) => {
    const { dimension } = form.querySelector(".dimension.is-active").dataset;
    set(step, "dimension", value(step, "dimension") === dimension ? "" : dimension);
  };

  // m, then the key beside a step.
  const pickStep = () => {
    say(words.pickStep);
    for (const section of narrative.querySelectorAll("details.fold")) section.open = true;
    steps.forEach((step, index) => (step.querySelector("[data-mark-open]").dataset.hint = HINTS[index] || ""));
    narrative.classList.add("is-picking");
    const stop = Rating.capture((event) => {
      if (["Shift", "CapsLock"].includes(event.key)) return false;
      stop();
      say("");
      narrative.classList.remove("is-picking");
      const chosen = event.key === "m" ? inHand() : steps[HINTS.indexOf(event.key)];
      if (chosen) open(chosen);
      return true;
    });
  };

  // w: words of the step by keyboard.
  const pickWords = (step) => {
    if (!panel.hidden) release();
    makeCurrent(step, true);
    const all = Rating.spans.words(textOf(step).textContent, textOf(step).lang);
    const before = spanOf(step);
    let from = before ? Math.max(0, all.findIndex((word) => word.end > before.start)) : 0;
    let to = before ? Math.max(from, all.findLastIndex((word) => word.start < before.end)) : from;
    const chosen = () => ({ start: all[Math.min(from, to)].start, end: all[Math.max(from, to)].end });
    const show = () => Rating.spans.paint(textOf(step), chosen(), "is-choosing");
    const keep = (span) => {
      stop();
      say("");
      setSpan(step, span);
      draw(step);
      if (value(step) && panel.hidden) document.dispatchEvent(new CustomEvent("rating:key", { detail: { focus: true } }));
      else open(step);
    };
    const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -all.length, End: all.length };
    const stop = Rating.capture((event) => {
      if (event.key === "Enter") keep(chosen());
      else if (event.key === "Escape") keep(before);
      else if (event.key in moves) {
        to = Math.max(0, Math.min(all.length - 1, to + moves[event.key]));
        if (!event.shiftKey) from = to;
        show();
      } else return event.key === "Shift";
      return true;
    });
    say(words.pickWords);
    show();
  };

  // p: a point on the image.
  const pickPoint = (step) => {
    makeCurrent(step, false);
    const wasOpen = !panel.hidden;
    release();
    say(words.pickPoint);
    Rating.viewer.pick((point) => {
      say("");
      if (point) set(step, "point", `${point.image}:${point.x.toFixed(4)}:${point.y.toFixed(4)}`);
      if (wasOpen || !value(step)) open(step);
    });
  };

  const withMark = (act) => () => (isError(inHand()) ? act(current()) : open(current()));
  const actions = {
    mark: pickStep,
    severity: withMark(severity),
    dimension: () => (value(inHand()) ? withActive(current()) : open(current())),
    words: () => pickWords(inHand()),
    point: () => pickPoint(inHand()),
    note: () => {
      open(inHand());
      note.focus();
    },
    clear: () => current() && clear(current()),
  };
  document.addEventListener(
    "rating:step",
    ({ detail }) => (detail.move ? move(detail.move) : actions[Object.keys(detail)[0]]()),
    { signal },
  );

  panel.addEventListener("click", (event) => {
    const step = panel.parentNode;
    const button = event.target.closest("button");
    if (!button) return;
    const data = button.dataset;
    if (data.markValue) judge(step, button, false);
    else if (data.markSeverity) set(step, "severity", value(step, "severity") === data.markSeverity ? "" : data.markSeverity);
    else if ("markWords" in data) pickWords(step);
    else if ("markPoint" in data) pickPoint(step);
    else if ("markClear" in data) {
      clear(step);
      close();
    } else close();
  });
  dimensionChoice.addEventListener("change", () => set(panel.parentNode, "dimension", dimensionChoice.value));
  note.addEventListener("input", () => set(panel.parentNode, "note", note.value));
  note.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    close();
  });

  // Words chosen with the mouse or a finger belong to the step they stand in.
  narrative.addEventListener("pointerup", () =>
    setTimeout(() => {
      const selection = getSelection();
      if (selection.rangeCount === 0 || selection.isCollapsed) return;
      const range = selection.getRangeAt(0);
      const step = steps.find((other) => textOf(other).contains(range.startContainer));
      const span = step && Rating.spans.of(textOf(step), range);
      if (!span) return;
      selection.removeAllRanges();
      setSpan(step, span);
      open(step);
    }),
  );
  narrative.addEventListener("click", (event) => {
    const step = event.target.closest("[data-step]");
    if (!step || event.target.closest("#mark-panel")) return;
    if (!event.target.closest("[data-mark-open], .mark-chip")) makeCurrent(step, false);
    else if (isOpenAt(step)) close();
    else open(step);
  });
  form.addEventListener("rating:changed", ({ detail }) => {
    const match = /^mark-(\d+)(-point)?/.exec(detail.name);
    if (!match) return;
    draw(steps[Number(match[1]) - 1]);
    drawPoints();
  });
  document.addEventListener("rating:restored", drawAll, { signal });
  narrative.classList.add("has-marks");
  drawAll();
});
