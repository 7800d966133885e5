// The adjudicator's panel: six levels, the cause, the decision.
Rating.onCase((form, signal) => {
  const note = form.querySelector("textarea");
  const revise = document.querySelector("[data-revise]");
  const panel = Panel(form, signal, {
    keyOf: (key, row) => (/^[0-9x]$/.test(key) ? row.querySelector(`input[data-key="${key}"]`) : null),
    keys: {
      n: () => note.focus(),
      e: () => revise && revise.click(),
    },
  });
  panel.draw();
  panel.activate(panel.active(), false);
});
