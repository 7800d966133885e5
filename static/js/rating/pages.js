// Other pages of hers: of two tabs on one case the older is told, what was left behind is sent, the slot stays hers
// while she works, and nothing is left before it is saved.
Rating.onCase((form, signal) => {
  const HEARTBEAT_MS = 60_000;
  const HEARTBEAT_STOPS_MS = 600_000;
  const DAY_MS = 86_400_000;
  const { words, server, journal, clock, draft } = Rating;
  const { assignment, leaseUrl } = form.dataset;

  const share = () => {
    const channel = new BroadcastChannel(`rating:${server.user}`);
    channel.addEventListener("message", ({ data }) => {
      if (data.assignment !== assignment) return;
      if (data.steppedBack) draft.takeOver(data.page, data.fields);
      else if (!draft.isOver()) {
        draft.stop(words.otherTab, location.href);
        channel.postMessage({ assignment, page: draft.page, steppedBack: true, fields: draft.fields() });
      }
    });
    channel.postMessage({ assignment, page: draft.page });
    signal.addEventListener("abort", () => channel.close());
  };
  if (typeof BroadcastChannel === "function") share();

  // What another case's page left in the journal, unless that page is still open.
  const deliver = async (other) => {
    const entry = journal.packedEntry(other);
    if (!entry) return;
    const json = { ...entry, page: draft.page, count: 0, active_seconds: entry.seconds, late: true };
    let { status, data } = await server.ask(entry.url, { json });
    if (status === 409 && data.page === entry.page) {
      ({ status } = await server.ask(entry.url, { json: { ...json, revision: data.revision } }));
    }
    const isHopeless = status === 404 && Date.now() - entry.at > DAY_MS;
    if (status === 200 || status === 409 || isHopeless) journal.forget(other);
  };
  if (navigator.locks) {
    const released = new Promise((done) => signal.addEventListener("abort", done));
    navigator.locks.request(`rating:${assignment}`, () => released);
    for (const other of journal.others(assignment)) {
      navigator.locks.request(`rating:${other}`, { ifAvailable: true }, (lock) => lock && deliver(other));
    }
  }

  const heartbeat = setInterval(async () => {
    if (!leaseUrl || draft.isOver() || clock.idleMs() > HEARTBEAT_STOPS_MS) return;
    const { status, data } = await server.ask(leaseUrl, { json: {} });
    if (!signal.aborted && !draft.isOver() && (status === 409 || status === 404)) draft.stop(data ? data.error : words.gone);
  }, HEARTBEAT_MS);
  signal.addEventListener("abort", () => clearInterval(heartbeat));

  // A form that leads away waits until the server has everything; what it is about needs no journal after that.
  document.addEventListener("submit", async (event) => {
    const leaves = event.target.getAttribute("action") || "";
    const isLogOut = leaves.endsWith("/logout/");
    if (event.defaultPrevented || !(isLogOut || /\/(revise|skip)\/$/.test(leaves))) return;
    event.preventDefault();
    const isSaved = await draft.flush();
    if (!isSaved && !isLogOut) return draft.isOver() && draft.tell();
    if (isSaved) draft.finish();
    if (isLogOut) await Promise.allSettled(journal.others(assignment).map(deliver));
    if (isSaved && isLogOut) journal.clear();
    event.target.submit();
  }, { signal });
});
