// One case at a time lives in <main>. A script that works on it registers here, is run for the case that
// the page came with and for every case shown later, and gives `signal` to each listener on document or
// window, so that they end with their case.
const Rating = (() => {
  const setUps = [];
  let current = new AbortController();

  const run = (setUp) => {
    const form = document.getElementById("scores");
    if (form) setUp(form, current.signal);
  };

  return {
    onCase(setUp) {
      setUps.push(setUp);
      run(setUp);
    },
    // `main` is the next page's <main>, already parsed.
    show(main) {
      current.abort();
      current = new AbortController();
      document.getElementById("main").replaceWith(main);
      for (const setUp of setUps) run(setUp);
    },
  };
})();
