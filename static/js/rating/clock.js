// Active time: this tab in view, and something done in the last half minute.
Rating.clock = (() => {
  const IDLE_AFTER_MS = 30_000;
  const TOUCHES = ["pointerdown", "pointermove", "keydown", "wheel", "scroll", "touchmove"];
  let seconds = 0;
  let last = Date.now();

  for (const name of TOUCHES) {
    document.addEventListener(name, () => (last = Date.now()), { passive: true, capture: true });
  }
  setInterval(() => {
    if (!document.hidden && Date.now() - last < IDLE_AFTER_MS) seconds += 1;
  }, 1_000);

  return {
    start: (from) => (seconds = from),
    atLeast: (known) => (seconds = Math.max(seconds, known || 0)),
    seconds: () => seconds,
    idleMs: () => Date.now() - last,
  };
})();
