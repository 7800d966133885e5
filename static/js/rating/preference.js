// Two texts, seven choices: the keys of the four answers, drafts, active time.
Rating.onCase((form, signal) => {
  const ANSWERS = {
    ArrowLeft: "left", 1: "left", ArrowRight: "right", 2: "right",
    "=": "tie", t: "tie", 3: "tie", x: "both_bad", b: "both_bad", 4: "both_bad",
  };
  const saved = form.querySelector("[data-saved]");
  const comment = form.querySelector("details.comment");
  const storageKey = `pair:${form.dataset.slot}`;
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  let revision = Number(form.dataset.revision);
  let timer = 0;

  const panel = Panel(form, signal, {
    onChange: () => keep(),
    keyOf: (key, row) => ANSWERS[key] && row.querySelector(`input[value="${ANSWERS[key]}"]`),
    keys: {
      s: () => panel.openDialog("skip"),
      c: () => {
        comment.open = true;
        comment.querySelector("textarea").focus();
      },
    },
  });

  // What was chosen is in this browser before it is sent, and stays there until the server has it.
  const show = (state) => {
    saved.dataset.state = state;
    saved.textContent = saved.dataset[`${state}Text`];
  };
  const send = async () => {
    clearTimeout(timer);
    const sent = revision;
    try {
      const answer = await fetch(form.dataset.draftUrl, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRFToken": token },
        body: JSON.stringify({ revision: sent, fields: panel.choices() }),
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
    localStorage.setItem(storageKey, JSON.stringify({ revision, fields: panel.choices() }));
    show("saving");
    clearTimeout(timer);
    timer = setTimeout(send, 250);
  };
  const restore = () => {
    const kept = JSON.parse(localStorage.getItem(storageKey) || "null");
    if (!kept || kept.revision <= revision) return;
    for (const row of panel.rows) {
      const input = row.querySelector(`input[value="${kept.fields[row.dataset.dimension]}"]`);
      if (input) input.checked = true;
    }
    revision = kept.revision;
    show("saving");
    send();
  };

  let activeSeconds = 0;
  let lastSign = Date.now();
  for (const sign of ["keydown", "pointermove", "pointerdown", "wheel", "scroll"]) {
    document.addEventListener(sign, () => (lastSign = Date.now()), { signal, passive: true, capture: true });
  }
  const clock = setInterval(() => {
    if (!document.hidden && Date.now() - lastSign < 60000) activeSeconds += 1;
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(clock));
  form.addEventListener("panel:sending", () => {
    clearTimeout(timer);
    form.elements.active_seconds.value = activeSeconds;
    localStorage.setItem(storageKey, JSON.stringify({ revision, fields: panel.choices(), sent: true }));
  });

  // Another pair is here, so those that were sent have arrived.
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith("pair:") && key !== storageKey && JSON.parse(localStorage.getItem(key)).sent) {
      localStorage.removeItem(key);
    }
  }
  restore();
  panel.draw();
  panel.activate(panel.active(), false);
});
