// Submit, and the next case at once: its text and image were fetched while she scored this one.
Rating.onCase((form, signal) => {
  const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000];
  const { words, server, draft, clock } = Rating;
  let sending = false;

  const wait = (ms) =>
    new Promise((done) => {
      setTimeout(done, ms);
      window.addEventListener("online", done, { once: true, signal });
    });

  const fetchAhead = async () => {
    if (Rating.ahead || !form.dataset.aheadUrl) return;
    const { status, data } = await server.ask(form.dataset.aheadUrl);
    if (status === 200 && !signal.aborted) prepare(data.ahead);
  };

  const prepare = (part) => {
    Rating.ahead = part;
    if (!part) return;
    const main = parsed(part.main);
    for (const { src } of main.querySelectorAll("[data-viewer] img")) {
      const image = new Image();
      image.src = src;
      image.decode().catch(() => {});
      part.image = image; // held, so that the decoded picture is not dropped
    }
  };

  const parsed = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  };

  const show = (part, previous) => {
    const main = document.getElementById("main").cloneNode(false);
    main.append(parsed(part.main));
    if (previous) main.prepend(parsed(previous));
    for (const input of main.querySelectorAll("[name=csrfmiddlewaretoken]")) {
      input.value = form.elements.csrfmiddlewaretoken.value;
    }
    history.replaceState(null, "", part.url);
    document.title = `${main.querySelector("h1").textContent} · ${document.title.split(" · ").at(-1)}`;
    Rating.show(main);
    if (window.htmx) window.htmx.process(main);
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  };

  const submit = async () => {
    sending = true;
    form.setAttribute("aria-busy", "true");
    draft.show("saving");
    await draft.rest();
    for (let tries = 0; !signal.aborted; tries += 1) {
      form.elements.active_seconds.value = String(Math.round(clock.seconds()));
      const body = new URLSearchParams(new FormData(form));
      body.delete("csrfmiddlewaretoken"); // the header has the one that is valid now
      if (Rating.ahead) body.set("ahead", Rating.ahead.id);
      const { status, data } = await server.ask(form.getAttribute("action"), { body });
      if (status === 200) return done(data);
      if (status === 422) return refused(data);
      if (status === 401) return unsent(words.logIn);
      if (status !== 0 && status < 500) return unsent(words.gone);
      draft.show("kept", status === 0 ? words.offline : words.busy);
      await wait(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]);
    }
  };

  const done = (data) => {
    draft.finish();
    if (data.go) return location.assign(data.go);
    const next = data.case || Rating.ahead;
    Rating.ahead = null;
    prepare(data.ahead);
    show(next, data.previous);
  };

  const refused = (data) => {
    draft.resume();
    show(data.case);
  };

  const unsent = (why) => {
    sending = false;
    form.removeAttribute("aria-busy");
    draft.resume();
    draft.show("kept", why);
    form.dispatchEvent(new CustomEvent("rating:unsent"));
  };

  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    if (draft.isOver()) draft.tell();
    else if (!sending) submit();
  });

  fetchAhead();
});
