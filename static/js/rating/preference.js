// Two texts, seven choices: the keys of the four answers. What is chosen and written is kept as scores are (draft.js).
Rating.onCase((form, signal) => {
  const ANSWERS = {
    ArrowLeft: "left", 1: "left", ArrowRight: "right", 2: "right",
    "=": "tie", t: "tie", 3: "tie", x: "both_bad", b: "both_bad", 4: "both_bad",
  };
  const comment = form.querySelector("details.comment");
  const changed = () => form.dispatchEvent(new CustomEvent("rating:changed"));

  const panel = Panel(form, signal, {
    onChange: changed,
    keyOf: (key, row) => ANSWERS[key] && row.querySelector(`input[value="${ANSWERS[key]}"]`),
    keys: {
      s: () => panel.openDialog("skip"),
      c: () => {
        comment.open = true;
        comment.querySelector("textarea").focus();
      },
    },
  });
  const draw = () => {
    panel.draw();
    panel.activate(panel.active(), false);
  };

  comment.addEventListener("input", changed);
  document.addEventListener("rating:restored", draw, { signal });
  draw();
});
