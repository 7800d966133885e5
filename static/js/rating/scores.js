// The six dimensions: which one is active, what is chosen, what is missing. Rating.set writes any field of the form.
Rating.set = (field, value) => {
  if (field.type === "radio") field.checked = true;
  else field.value = value;
  for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, { bubbles: true }));
};

Rating.onCase((form, signal) => {
  const rows = [...form.querySelectorAll("[data-dimension]")];
  const details = new Map([...form.querySelectorAll("[data-detail]")].map((node) => [node.dataset.detail, node]));
  const missingShown = form.querySelector("[data-missing]");
  const nameShown = form.querySelector("[data-active-name]");
  const words = document.getElementById("rating-words").dataset;
  let sending = false;

  const nameOf = (row) => row.querySelector("legend").textContent;
  const chosen = (row) => row.querySelector("input:checked");
  const detailOf = (row) => details.get(row.dataset.dimension);
  const reasonOf = (row) => detailOf(row).querySelector("select");
  const isDone = (row) => {
    const input = chosen(row);
    return Boolean(input) && (input.value !== "x" || reasonOf(row).value !== "");
  };
  const active = () => form.querySelector(".dimension.is-active") || rows[0];

  const activate = (row, focus) => {
    for (const other of rows) other.classList.toggle("is-active", other === row);
    for (const [key, node] of details) node.classList.toggle("is-active", key === row.dataset.dimension);
    nameShown.textContent = `${nameOf(row)} ${rows.indexOf(row) + 1}/${rows.length}`;
    if (focus) row.focus({ preventScroll: true });
  };

  const draw = () => {
    for (const row of rows) {
      const value = chosen(row) ? chosen(row).value : "";
      row.classList.toggle("is-scored", isDone(row));
      detailOf(row).classList.toggle("cannot-judge", value === "x");
      for (const anchor of detailOf(row).querySelectorAll("[data-level]")) {
        anchor.classList.toggle("is-chosen", anchor.dataset.level === value);
      }
    }
    const open = rows.filter((row) => !isDone(row));
    form.classList.toggle("is-complete", open.length === 0);
    if (open.length === 0) missingShown.textContent = "";
    else if (missingShown.textContent) sayMissing(open);
  };

  const sayMissing = (open) => {
    missingShown.textContent = `${words.open} ${open.map(nameOf).join(", ")}`;
    for (const row of open) row.classList.add("is-missing");
  };

  const advance = () => {
    const at = rows.indexOf(active());
    const next = at + 1 < rows.length ? rows[at + 1] : rows.find((row) => !isDone(row));
    if (next) activate(next, true);
    else active().focus({ preventScroll: true });
  };

  const choose = (value) => {
    const row = active();
    const input = row.querySelector(`input[value="${value}"]`);
    if (!input) return; // examples with agreed scores take no “cannot judge”
    Rating.set(input, value);
    if (value === "x") reasonOf(row).focus();
    else advance();
  };

  const move = (by) => {
    const at = rows.indexOf(active()) + by;
    activate(rows[Math.max(0, Math.min(rows.length - 1, at))], true);
  };

  const openComment = (details) => {
    if (!details) return;
    details.open = true;
    details.querySelector("textarea").focus();
  };

  // A change of any field of the form, inside it or not, by key or click, is told once.
  document.addEventListener(
    "input",
    ({ target }) => {
      if (target.form !== form || !target.name) return;
      form.dispatchEvent(new CustomEvent("rating:changed", { detail: { name: target.name } }));
    },
    { signal },
  );
  form.addEventListener("rating:changed", draw);
  form.addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-dimension]");
    if (row) activate(row, false);
  });
  form.addEventListener("click", (event) => {
    const label = event.target.closest(".score-keys label, .anchors label");
    const stepper = event.target.closest("[data-move]");
    if (stepper) move(Number(stepper.dataset.move));
    // On a phone one dimension is shown at a time, so a tap moves on as a digit does.
    else if (label && !label.matches(".x-key") && matchMedia("(width < 700px)").matches) {
      setTimeout(advance, 160);
    }
  });

  // “Cannot judge”: the reasons are numbered, so that x and a digit are enough.
  for (const [key, node] of details) {
    const select = node.querySelector("select");
    select.addEventListener("keydown", (event) => {
      const option = /^[1-9]$/.test(event.key) && select.options[Number(event.key)];
      if (option) Rating.set(select, option.value);
      else if (event.key !== "Enter" || !select.value) return;
      event.preventDefault();
      event.stopPropagation();
      activate(rows.find((row) => row.dataset.dimension === key), false);
      advance();
    });
  }

  form.addEventListener("submit", (event) => {
    const open = rows.filter((row) => !isDone(row));
    if (open.length > 0) {
      event.preventDefault();
      sayMissing(open);
      activate(open[0], true);
      if (chosen(open[0])) reasonOf(open[0]).focus();
    } else if (sending) {
      event.preventDefault();
    } else {
      sending = true;
      form.dispatchEvent(new CustomEvent("rating:sending"));
    }
  });
  const usable = () => {
    sending = false;
    draw();
  };
  window.addEventListener("pageshow", usable, { signal });
  form.addEventListener("rating:unsent", usable);

  const fold = form.querySelector("[data-fold]");
  const setFold = (folded) => {
    form.classList.toggle("is-folded", folded);
    fold.setAttribute("aria-expanded", String(!folded));
    sessionStorage.setItem("rating:folded", folded ? "1" : "");
  };
  fold.hidden = false;
  setFold(sessionStorage.getItem("rating:folded") === "1");
  fold.addEventListener("click", () => setFold(!form.classList.contains("is-folded")));

  const resume = () => {
    draw();
    activate(rows.find((row) => !isDone(row)) || active(), false);
  };
  document.addEventListener("rating:restored", resume, { signal });
  document.addEventListener(
    "rating:key",
    ({ detail }) => {
      if (detail.score !== undefined) choose(detail.score);
      else if (detail.move) move(detail.move);
      else if (detail.focus) active().focus({ preventScroll: true });
      else if (detail.comment === "dimension") openComment(detailOf(active()).querySelector("details"));
      else if (detail.comment === "whole") openComment(form.querySelector("details.overall"));
      else if (detail.submit) form.requestSubmit();
    },
    { signal },
  );
  activate(active(), false);
  draw();
});
