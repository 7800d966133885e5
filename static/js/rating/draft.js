// Nothing entered is lost: every field goes into the journal as it changes, to the server within a second, and
// from the journal when the network, the log-in or the server was away. `Rating.draft` is the present case's.
Rating.onCase((form, signal) => {
  const SAVE_AFTER_MS = 300;
  const LATEST_MS = 700;
  const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000];
  const UNSAVED = new Set(["csrfmiddlewaretoken", "client_uuid", "corrects", "active_seconds"]);

  const { words, server, journal, clock } = Rating;
  const { assignment, submission, draftUrl, againUrl } = form.dataset;
  const page = [...crypto.getRandomValues(new Uint8Array(8))].map((n) => n.toString(16).padStart(2, "0")).join("");
  const shown = form.querySelector("[data-saved]");
  const told = document.getElementById("told");
  const corrections = {};
  const steppedBack = new Set();
  let revision = Number(form.dataset.revision);
  let count = 0;
  let timer = 0;
  let changedAt = 0;
  let failures = 0;
  let submitting = false;
  let flight = null;
  let over = false;

  const fieldsNow = () => {
    const fields = {};
    for (const [name, value] of new FormData(form)) if (value && !UNSAVED.has(name)) fields[name] = value;
    return { ...fields, ...corrections };
  };
  let onServer = fieldsNow();
  const unsaved = (fields = fieldsNow()) =>
    [...new Set([...Object.keys(fields), ...Object.keys(onServer)])].filter(
      (name) => (fields[name] || "") !== (onServer[name] || ""),
    );

  const show = (state, why = "") => {
    shown.dataset.state = shown.dataset.savedState = state;
    shown.textContent = why ? `${words[state]} · ${why}` : words[state];
    const waiting = unsaved();
    const isOf = (name, field) => name === field || name.startsWith(`${field}_`) || name.startsWith(`${field}-`);
    for (const mark of document.querySelectorAll("[data-saved-for]")) {
      mark.dataset.savedState = waiting.some((name) => isOf(name, mark.dataset.savedFor)) ? state : "saved";
    }
  };

  const keep = () => {
    const entry = { url: draftUrl, revision, page, submission, fields: fieldsNow(), seconds: clock.seconds(), submit: submitting };
    return journal.write(assignment, { ...entry, at: Date.now() });
  };

  // Another page has this case, or nobody does: this one says so and changes nothing any more.
  const stop = (why, again = againUrl) => {
    over = true;
    clearTimeout(timer);
    show("lost", why);
    told.querySelector("[data-why]").textContent = why;
    told.querySelector("[data-again]").href = again;
    if (!told.open) told.showModal();
  };

  const later = (delay) => {
    clearTimeout(timer);
    if (!over) timer = setTimeout(send, delay);
  };

  const post = async (keepalive) => {
    const fields = fieldsNow();
    count += 1;
    changedAt = 0;
    const json = { revision, page, count, fields, active_seconds: clock.seconds() };
    const { status, data } = await server.ask(draftUrl, { json, keepalive });
    if (signal.aborted || over) return;
    if (status === 200) settle(fields, data);
    else refuse(status, data);
  };

  const settle = (fields, data) => {
    failures = 0;
    revision = data.revision;
    onServer = fields;
    if (!data.held) return stop(words.lapsed);
    if (unsaved().length > 0) return later(SAVE_AFTER_MS);
    if (!submitting) journal.forget(assignment);
    show("saved");
  };

  const refuse = (status, data) => {
    if (status === 409 && data.fields) return steppedBack.has(data.page) ? adopt(data) : stop(words.newer, location.href);
    if (status === 409 || status === 404) return stop(data ? data.error : words.gone);
    if (status === 400) return show("kept", data.error);
    if (status === 401) return show("kept", words.logIn);
    show("kept", status === 0 ? words.offline : words.busy);
    later(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
  };

  // A tab that steps back hands over what it shows: its last save may be newer than this page.
  const takeOver = (from, fields) => {
    if (over) return;
    steppedBack.add(from);
    const [mine, here] = [new Set(unsaved()), fieldsNow()];
    const emptied = Object.keys(here).filter((name) => !(name in fields) && !name.startsWith("step-"));
    const theirs = { ...Object.fromEntries(emptied.map((name) => [name, ""])), ...fields };
    const newer = Object.entries(theirs).filter(([name, value]) => !mine.has(name) && value !== (here[name] || ""));
    if (newer.length === 0) return;
    fill(Object.fromEntries(newer));
    changed();
  };

  // A tab that stepped back had one save under way: take what it saved, keep what was changed here.
  const adopt = (data) => {
    const mine = new Set(unsaved());
    revision = data.revision;
    onServer = data.fields;
    fill(Object.fromEntries(Object.entries(data.fields).filter(([name]) => !mine.has(name))));
    later(0);
  };

  const send = async (keepalive) => {
    clearTimeout(timer);
    if (over || signal.aborted) return;
    if (flight) return later(SAVE_AFTER_MS);
    flight = post(keepalive === true);
    await flight;
    flight = null;
  };

  const changed = () => {
    if (over || signal.aborted) return;
    changedAt = changedAt || Date.now();
    if (keep()) show("saving");
    else show("saving", words.full);
    if (!submitting) later(Math.max(0, Math.min(SAVE_AFTER_MS, changedAt + LATEST_MS - Date.now())));
  };

  const fill = (fields) => {
    for (const [name, value] of Object.entries(fields)) {
      if (name.startsWith("step-")) corrections[name] = value;
      const field = form.elements[name];
      if (!field) continue;
      if (field.type === "checkbox") field.checked = Boolean(value);
      else field.value = value;
      const folded = field instanceof Element && value && field.closest("details");
      if (folded) folded.open = true;
    }
    document.dispatchEvent(new CustomEvent("rating:restored", { detail: fields }));
  };

  // What another page saved later stands, but no words typed here are dropped for it.
  const added = (fields) => {
    const kept = {};
    for (const name of unsaved(fields)) {
      const theirs = onServer[name] || "";
      const isText = form.elements[name] instanceof HTMLTextAreaElement;
      if (!theirs) kept[name] = fields[name];
      else if (isText && fields[name] && !theirs.includes(fields[name])) kept[name] = `${theirs}\n${fields[name]}`;
    }
    return kept;
  };

  const restore = () => {
    clock.start(Number(form.dataset.activeSeconds) || 0);
    const entry = journal.read(assignment);
    if (!entry || document.querySelector(".field-error")) return;
    if (entry.submission !== submission) return journal.forget(assignment); // it was submitted
    steppedBack.add(entry.page); // closed, or about to step back: its last save may still be under way
    const isLatest = entry.revision >= revision || entry.page === form.dataset.draftPage;
    const emptied = Object.fromEntries(Object.keys(onServer).map((name) => [name, ""]));
    fill(isLatest ? { ...emptied, ...entry.fields } : added(entry.fields));
    clock.atLeast(entry.seconds);
    changed();
    if (entry.submit && isLatest) setTimeout(() => signal.aborted || form.requestSubmit(), 0);
  };

  form.addEventListener("rating:changed", changed);
  shown.addEventListener("click", send);
  document.addEventListener("visibilitychange", () => document.hidden && changedAt && send(true), { signal });
  window.addEventListener("pagehide", () => changedAt && send(true), { signal });
  window.addEventListener("online", () => unsaved().length > 0 && send(), { signal });
  window.addEventListener("pageshow", (event) => event.persisted && location.reload(), { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));

  Rating.draft = {
    page,
    takeOver,
    fields: fieldsNow,
    corrections,
    changed,
    show,
    stop,
    isOver: () => over,
    tell: () => told.showModal(),
    // Whether the server has everything, after a last save: it also renews a log-in or a token that ran out.
    flush: async () => {
      clearTimeout(timer);
      await flight;
      await send();
      return !over && unsaved().length === 0 && shown.dataset.savedState === "saved";
    },
    // No save under way and none to come: a submission must not be followed by an older draft.
    rest: async () => {
      submitting = true;
      clearTimeout(timer);
      keep();
      await flight;
      clearTimeout(timer);
    },
    resume: () => {
      submitting = false;
      changed();
    },
    finish: () => {
      over = true;
      journal.forget(assignment);
    },
  };
  restore();
});
