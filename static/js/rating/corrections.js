// Corrected steps are part of the draft, whether or not the editor is open.
Rating.onCase((form, signal) => {
  const { draft } = Rating;
  document.addEventListener("input", ({ target }) => {
    if (!target.closest("[data-revise-form]")) return;
    target.classList.toggle("is-changed", target.value !== target.defaultValue);
    draft.corrections[target.name] = target.value;
    draft.changed();
  }, { signal });

  document.addEventListener("htmx:afterSwap", () => {
    for (const field of document.querySelectorAll("[data-revise-form] textarea")) {
      if (field.name in draft.corrections) field.value = draft.corrections[field.name];
    }
  }, { signal });
});
