// What she entered, in this browser, until the server has it. Under her own id: nobody else's page reads it.
// Her own input only: of a corrected step it keeps the words she put in and where, never the text around them.
Rating.journal = (() => {
  const PREFIX = `rating:journal:${Rating.server.user}:`;
  const STEP = /^step-(\d+)$/;

  const stepText = (number) => {
    const step = document.querySelector(`#narrative [data-step="${number}"] p`);
    return step ? step.textContent : null;
  };

  const spliced = (before, after) => {
    let start = 0;
    const shorter = Math.min(before.length, after.length);
    while (start < shorter && before[start] === after[start]) start += 1;
    let end = 0;
    while (end < shorter - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
    return { start, end, length: before.length, text: after.slice(start, after.length - end) };
  };

  const joined = (before, { start, end, length, text }) =>
    before !== null && before.length === length ? before.slice(0, start) + text + before.slice(length - end) : null;

  const packed = (fields) => {
    const own = {};
    for (const [name, value] of Object.entries(fields)) {
      const before = STEP.test(name) ? stepText(name.match(STEP)[1]) : "";
      if (before !== null) own[name] = STEP.test(name) ? spliced(before, value) : value;
    }
    return own;
  };

  const unpacked = (own) => {
    const fields = {};
    for (const [name, value] of Object.entries(own)) {
      const text = STEP.test(name) ? joined(stepText(name.match(STEP)[1]), value) : value;
      if (typeof text === "string") fields[name] = text;
    }
    return fields;
  };

  const read = (assignment) => {
    try {
      const entry = JSON.parse(localStorage.getItem(PREFIX + assignment));
      if (!entry) return null;
      return { ...entry, fields: unpacked(entry.fields) };
    } catch {
      return null;
    }
  };
  // Of a case whose text is not here: the server puts the words into it.
  const packedEntry = (assignment) => JSON.parse(localStorage.getItem(PREFIX + assignment));

  // False where the browser refuses: storage full or forbidden.
  const write = (assignment, entry) => {
    try {
      localStorage.setItem(PREFIX + assignment, JSON.stringify({ ...entry, fields: packed(entry.fields) }));
      return true;
    } catch {
      return false;
    }
  };

  const forget = (assignment) => localStorage.removeItem(PREFIX + assignment);

  const others = (assignment) =>
    Object.keys(localStorage)
      .filter((key) => key.startsWith(PREFIX))
      .map((key) => key.slice(PREFIX.length))
      .filter((key) => key !== assignment);

  const clear = () => others("").forEach(forget);

  return { read, packedEntry, write, forget, others, clear };
})();
