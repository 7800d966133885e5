// Nothing entered is lost: every field goes to the server as it is typed, and to a journal in this
// browser until the server has it. Also the heartbeat that keeps the case hers, and her active time.
Rating.onCase((form, signal) => {
  const SAVE_AFTER_MS = 500;
  const RETRY_AFTER_MS = 5_000;
  const HEARTBEAT_MS = 60_000;
  const IDLE_AFTER_MS = 60_000;
  const HEARTBEAT_STOPS_AFTER_MS = 600_000;
  const PREFIX = "rating:journal:";
  const UNSAVED = new Set(["csrfmiddlewaretoken", "client_uuid", "active_seconds"]);
  const WORDS = { saved: "Saved", saving: "Saving…", kept: "Kept here", lost: "Not saved" };

  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const journalKey = PREFIX + form.dataset.assignment;
  const page = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2);
  const shown = form.querySelector("[data-saved]");
  const state = { revision: Number(form.dataset.revision), timer: 0, inFlight: false, dirty: false, over: false };
  let corrections = {};

  const show = (name, why) => {
    shown.dataset.state = name;
    shown.textContent = why ? `${WORDS[name]} · ${why}` : WORDS[name];
  };

  // Active time: this tab in view, and something done in the last minute.
  let seconds = Number(form.dataset.activeSeconds) || 0;
  let lastTouch = Date.now();
  const touch = () => (lastTouch = Date.now());
  for (const name of ["pointerdown", "pointermove", "keydown", "wheel", "scroll"]) {
    document.addEventListener(name, touch, { passive: true, capture: true });
  }
  setInterval(() => {
    if (!document.hidden && Date.now() - lastTouch < IDLE_AFTER_MS) seconds += 1;
  }, 1000);

  const fieldsNow = () => {
    const fields = {};
    for (const [name, value] of new FormData(form)) if (!UNSAVED.has(name)) fields[name] = value;
    return { ...fields, ...corrections };
  };

  const journal = (extra) => {
    const entry = { revision: state.revision, fields: fieldsNow(), seconds, ...extra };
    try {
      localStorage.setItem(journalKey, JSON.stringify(entry));
    } catch {
      show("lost", "this browser's storage is full");
    }
  };

  const stop = (why) => {
    state.over = true;
    show("lost", why);
  };

  const send = async (leaving = false) => {
    if (state.over || (state.inFlight && !leaving)) return;
    state.inFlight = true;
    state.dirty = false;
    state.revision += 1;
    journal();
    const body = JSON.stringify({ revision: state.revision, page, fields: fieldsNow(), active_seconds: seconds });
    try {
      const answer = await fetch(form.dataset.draftUrl, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRFToken": token },
        body,
        keepalive: leaving,
        redirect: "manual",
      });
      await settle(answer);
    } catch {
      show("kept", "no connection");
      again(RETRY_AFTER_MS);
    } finally {
      state.inFlight = false;
      if (state.dirty) again(SAVE_AFTER_MS);
    }
  };

  const settle = async (answer) => {
    if (answer.ok) {
      const { revision, stale } = await answer.json();
      if (stale) return stop("another tab of this case is newer; reload this one");
      state.revision = Math.max(state.revision, revision);
      if (!state.dirty) {
        localStorage.removeItem(journalKey);
        show("saved");
      }
    } else if (answer.status === 409) {
      stop((await answer.json()).error);
    } else if (answer.type === "opaqueredirect" || answer.status === 403) {
      show("kept", "log in again to save it");
    } else if (answer.status === 404) {
      stop("this case is no longer yours");
    } else if (answer.status === 400) {
      show("kept", (await answer.json()).error);
    } else {
      show("kept", "the server does not answer");
      again(RETRY_AFTER_MS);
    }
  };

  const again = (delay) => {
    clearTimeout(state.timer);
    state.timer = setTimeout(() => send(), delay);
  };

  const changed = () => {
    if (state.over) return;
    state.dirty = true;
    journal();
    show("saving");
    again(SAVE_AFTER_MS);
  };

  const fill = (fields) => {
    for (const [name, value] of Object.entries(fields)) {
      if (name.startsWith("step-")) corrections[name] = value;
      const field = form.elements[name];
      if (!field) continue;
      if (field instanceof RadioNodeList) field.value = value;
      else {
        field.value = value;
        if (value && field.closest("details")) field.closest("details").open = true;
      }
    }
    document.dispatchEvent(new CustomEvent("rating:restored"));
  };

  // A journal is left only where the server did not get the last words of an earlier visit.
  const readJournal = (key) => {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null;
    }
  };

  const restore = () => {
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(PREFIX) || key === journalKey) continue;
      if (readJournal(key)?.sent) localStorage.removeItem(key);
    }
    const kept = readJournal(journalKey);
    if (!kept || kept.revision < state.revision || document.querySelector(".field-error")) return;
    fill(kept.fields);
    seconds = Math.max(seconds, kept.seconds);
    changed();
  };

  form.addEventListener("input", changed);
  form.addEventListener("change", changed);
  form.addEventListener("rating:sending", () => {
    clearTimeout(state.timer);
    form.elements.active_seconds.value = String(Math.round(seconds));
    journal({ sent: true });
    state.over = true;
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && state.dirty) send(true);
  });
  window.addEventListener("online", () => localStorage.getItem(journalKey) && send());

  // Corrected steps are part of the draft, whether or not the editor is open.
  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!field.closest("[data-revise-form]")) return;
    field.classList.toggle("is-changed", field.value !== field.defaultValue);
    corrections[field.name] = field.value;
    changed();
  });
  // Saving a version takes the corrections out of the draft; scores not sent yet come back from the journal.
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-revise-form]")) return;
    corrections = {};
    for (const input of form.querySelectorAll("input[type=hidden][name^='step-']")) input.remove();
    clearTimeout(state.timer);
    state.revision += 2;
    journal();
    state.over = true;
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const field of document.querySelectorAll("[data-revise-form] textarea")) {
      if (field.name in corrections) field.value = corrections[field.name];
    }
  });

  setInterval(async () => {
    if (state.over || Date.now() - lastTouch > HEARTBEAT_STOPS_AFTER_MS) return;
    const headers = { "X-CSRFToken": token };
    const answer = await fetch(form.dataset.leaseUrl, { method: "POST", headers, redirect: "manual" }).catch(() => null);
    if (answer && answer.status === 409) stop((await answer.json()).error);
  }, HEARTBEAT_MS);

  restore();
});
