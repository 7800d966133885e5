// ← and → follow the links to the previous and next case, except while a field has the keys.
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("input, select, textarea")) return;
  document.querySelector(`a[data-key="${event.key}"]`)?.click();
});
