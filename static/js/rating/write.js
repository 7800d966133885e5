// Writing from scratch: what is typed is kept like scores are (draft.js), and handed in once the server has it all.
Rating.onCase((form, signal) => {
  form.addEventListener("input", () => form.dispatchEvent(new CustomEvent("rating:changed")));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener(
    "submit",
    async (event) => {
      event.preventDefault();
      if (Rating.draft.isOver()) return Rating.draft.tell();
      if (await Rating.draft.flush()) Rating.draft.finish();
      form.submit();
    },
    { signal },
  );
});
