// What is handed in by leaving the page: a text from scratch, her own diagnosis, an example of calibration. It is kept
// as scores are (draft.js) and leaves once the server has it all; a log-in that ran out is renewed before that.
Rating.onCase((form, signal) => {
  form.addEventListener("input", () => form.dispatchEvent(new CustomEvent("rating:changed")));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener(
    "submit",
    async (event) => {
      if (event.defaultPrevented) return;
      event.preventDefault();
      if (Rating.draft.isOver()) return Rating.draft.tell();
      if (await Rating.draft.flush()) {
        Rating.draft.finish();
        form.submit();
      } else form.dispatchEvent(new CustomEvent("rating:unsent"));
    },
    { signal },
  );
});
