// Talking to the studio from a page that stays open: one token, one log-in dialog, and no trust in the network.
// `ask` resolves to {status, data}; status 0 is "no answer", 401 "nobody, or somebody else, is logged in here".
Rating.words = document.getElementById("words").content.firstElementChild.dataset; // what scripts say, in the page's language
Rating.server = (() => {
  const TIMEOUT_MS = 15_000;
  const TYPING_MS = 1_500;
  const dialog = document.getElementById("log-in");
  const form = dialog.querySelector("form");
  const problem = dialog.querySelector("[data-problem]");
  const me = dialog.dataset.user;
  let token = form.elements.csrfmiddlewaretoken.value;
  let renewing = null;
  let lastKey = 0;

  document.addEventListener("keydown", () => (lastKey = Date.now()), true);

  const call = (url, { body, json, keepalive = false } = {}) => {
    const headers = { "X-CSRFToken": token, "X-Requested-With": "fetch", Accept: "application/json" };
    if (json) headers["Content-Type"] = "application/json";
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const method = body === undefined && !json ? "GET" : "POST";
    return fetch(url, { method, headers, body: json ? JSON.stringify(json) : body, redirect: "manual", keepalive, signal });
  };

  const read = async (answer) => {
    const isJson = (answer.headers.get("Content-Type") || "").startsWith("application/json");
    return { status: answer.status, data: isJson ? await answer.json() : null };
  };

  // A redirect is the way to the log-in page, 403 a token that another tab's log-in has replaced, 404 perhaps
  // somebody else's log-in, who has no such case.
  const isShut = (answer) => answer.type === "opaqueredirect" || answer.status === 403 || answer.status === 404;

  const take = (found) => {
    token = found.token;
    for (const input of document.querySelectorAll("[name=csrfmiddlewaretoken]")) input.value = token;
    document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": token }));
  };

  const renew = async () => {
    const { status, data } = await read(await call(dialog.dataset.sessionUrl));
    if (status !== 200) return false;
    if (data.user === me) {
      take(data);
      return true;
    }
    token = data.token;
    return logIn(data.user === null ? "" : Rating.words.otherPerson);
  };

  // Never into the middle of a word: what she types belongs into her field, not into a password.
  const pause = async () => {
    while (Date.now() - lastKey < TYPING_MS) await new Promise((done) => setTimeout(done, 200));
  };

  const logIn = async (words) => {
    await pause();
    problem.textContent = words;
    dialog.showModal();
    form.elements.password.focus();
    return new Promise((settle) => {
      const closed = () => {
        form.elements.password.value = "";
        settle(dialog.returnValue === "done");
      };
      dialog.returnValue = "";
      dialog.addEventListener("close", closed, { once: true });
    });
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    form.setAttribute("aria-busy", "true");
    try {
      const body = new URLSearchParams({ username: form.elements.username.value, password: form.elements.password.value });
      const { status, data } = await read(await call(dialog.dataset.sessionUrl, { body }));
      if (status === 200 && data.user === me) {
        take(data);
        dialog.close("done");
      } else {
        problem.textContent = status === 422 ? data.errors.join(" ") : Rating.words.failed;
        if (status === 403) await renewToken();
      }
    } catch {
      problem.textContent = Rating.words.offline;
    } finally {
      form.removeAttribute("aria-busy");
      form.elements.password.select();
    }
  });
  const renewToken = async () => {
    const { data } = await read(await call(dialog.dataset.sessionUrl));
    if (data) token = data.token;
  };
  dialog.querySelector("[data-later]").addEventListener("click", () => dialog.close(""));

  const ask = async (url, options) => {
    try {
      let answer = await call(url, options);
      if (isShut(answer)) {
        renewing = renewing || renew().finally(() => (renewing = null));
        if (!(await renewing)) return { status: 401, data: null };
        answer = await call(url, options);
      }
      return answer.type === "opaqueredirect" ? { status: 401, data: null } : await read(answer);
    } catch {
      return { status: 0, data: null };
    }
  };

  return { ask, user: me };
})();
