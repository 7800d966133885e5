// Places in a text, counted in Unicode code points as the server counts them; JavaScript's own offsets are UTF-16.
Rating.spans = (() => {
  const count = (text) => [...text].length;
  const cut = (text, start, end) => [...text].slice(start, end).join("");

  // {start, end} of a DOM range inside `element`, or null where it is empty or reaches outside.
  const of = (element, range) => {
    if (range.collapsed || !element.contains(range.startContainer) || !element.contains(range.endContainer)) return null;
    const before = document.createRange();
    before.selectNodeContents(element);
    before.setEnd(range.startContainer, range.startOffset);
    const start = count(before.toString());
    const end = start + count(range.toString());
    return end > start ? { start, end } : null;
  };

  // Shows the element's text again, with <mark> around the span; without one, plain.
  const paint = (element, span, className) => {
    const text = element.textContent;
    if (!span) {
      if (element.childNodes.length !== 1 || element.firstElementChild) element.textContent = text;
      return;
    }
    const mark = document.createElement("mark");
    mark.className = className || "";
    mark.textContent = cut(text, span.start, span.end);
    const parts = [cut(text, 0, span.start), mark, cut(text, span.end)];
    element.replaceChildren(...parts.filter((part) => part !== ""));
  };

  // The words of a text as spans; Chinese and its like by the browser's own dictionary.
  const words = (text, language) => {
    const found = [];
    let start = 0;
    const add = (piece, isWord) => {
      const end = start + count(piece);
      if (isWord) found.push({ start, end });
      start = end;
    };
    if (Intl.Segmenter) {
      const segmenter = new Intl.Segmenter(language || undefined, { granularity: "word" });
      for (const { segment, isWordLike } of segmenter.segment(text)) add(segment, isWordLike);
    } else {
      for (const piece of text.split(/(\s+)/u)) add(piece, piece.trim() !== "");
    }
    return found.length > 0 ? found : [{ start: 0, end: count(text) }];
  };

  return { count, cut, of, paint, words };
})();
