// The image: fit, 1:1, zoom, pan, full screen, brightness and contrast. Display only; nothing is sent or kept.
// Rating.viewer.pick asks for a point on it, Rating.viewer.show draws the points of the marks.
Rating.onCase((form, signal) => {
  Rating.viewer = { pick: () => {}, show: () => {} };
  const stage = document.querySelector("[data-viewer]");
  const image = stage && stage.querySelector("img");
  if (!image || typeof Panzoom !== "function") return;

  const pane = stage.closest(".image-pane");
  const zoomShown = pane.querySelector("[data-zoom]");
  const links = [...pane.querySelectorAll("[data-image]")];
  const STEP = 1.35;
  const PAN = 60;
  const panzoom = Panzoom(image, { minScale: 0.1, maxScale: 16, step: 0.25, canvas: true, cursor: "grab" });
  const views = new Map();
  let number = 1;

  const fittedWidth = () => {
    const scale = Math.min(image.clientWidth / image.naturalWidth, image.clientHeight / image.naturalHeight);
    return image.naturalWidth * scale;
  };
  const actualScale = () => image.naturalWidth / (fittedWidth() * (window.devicePixelRatio || 1));
  const fit = () => panzoom.reset({ animate: false });
  const actual = () => {
    fit();
    panzoom.zoom(actualScale(), { animate: false });
  };
  const isFitted = () => Math.abs(panzoom.getScale() - 1) < 0.01;

  // Where the picture itself is on the screen, without the empty stripes beside it.
  const box = () => {
    const outer = image.getBoundingClientRect();
    const scale = Math.min(outer.width / image.naturalWidth, outer.height / image.naturalHeight);
    const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
    return { left: outer.left + (outer.width - width) / 2, top: outer.top + (outer.height - height) / 2, width, height };
  };

  const layer = document.createElement("div");
  layer.className = "points";
  layer.setAttribute("aria-hidden", "true");
  stage.append(layer);
  let points = [];
  const place = (node, x, y) => {
    const [inner, outer] = [box(), stage.getBoundingClientRect()];
    node.style.left = `${inner.left - outer.left + x * inner.width}px`;
    node.style.top = `${inner.top - outer.top + y * inner.height}px`;
  };
  const drawPoints = () => {
    const nodes = points.filter((point) => point.image === number).map((point) => {
      const node = document.createElement("span");
      node.textContent = point.label;
      place(node, point.x, point.y);
      return node;
    });
    layer.replaceChildren(...nodes, ...(cross ? [cross.node] : []));
    if (cross) place(cross.node, cross.x, cross.y);
  };

  const show = () => {
    const percent = (100 * panzoom.getScale()) / actualScale();
    zoomShown.textContent = Number.isFinite(percent) ? `${Math.round(percent)} %` : "";
    drawPoints();
  };
  image.addEventListener("panzoomchange", () => requestAnimationFrame(show));
  image.addEventListener("load", show);
  window.addEventListener("resize", show, { signal });
  stage.addEventListener("wheel", (event) => panzoom.zoomWithWheel(event), { passive: false });
  stage.addEventListener("dblclick", () => (isFitted() ? actual() : fit()));

  // A point is asked for: click, or move the cross and press Enter. Escape leaves it as it was.
  let cross = null;
  const endPick = (point) => {
    const { done, release } = cross;
    cross = null;
    stage.classList.remove("is-picking");
    release();
    drawPoints();
    done(point);
  };
  const clamp = (share) => Math.max(0, Math.min(1, share));
  const pick = (done) => {
    if (cross) endPick(null);
    const node = document.createElement("i");
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const release = Rating.capture((event) => {
      const by = moves[event.key];
      if (event.key === "Enter") endPick({ image: number, x: cross.x, y: cross.y });
      else if (event.key === "Escape") endPick(null);
      else if (by) {
        const step = event.shiftKey ? 0.1 : 0.02;
        cross.x = clamp(cross.x + by[0] * step);
        cross.y = clamp(cross.y + by[1] * step);
        drawPoints();
      } else return false;
      return true;
    });
    cross = { node, x: 0.5, y: 0.5, done, release };
    stage.classList.add("is-picking");
    drawPoints();
  };
  let pressed = null;
  stage.addEventListener("pointerdown", (event) => (pressed = [event.clientX, event.clientY]), { capture: true });
  stage.addEventListener("click", (event) => {
    const moved = pressed && Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) > 5;
    if (!cross || moved) return;
    const inner = box();
    const [x, y] = [(event.clientX - inner.left) / inner.width, (event.clientY - inner.top) / inner.height];
    if (x >= 0 && x <= 1 && y >= 0 && y <= 1) endPick({ image: number, x, y });
  });

  const lights = [...pane.querySelectorAll("[data-light]")];
  const light = () => {
    const changed = lights.filter((input) => input.value !== "100");
    image.style.filter = changed.map((input) => `${input.dataset.light}(${input.value}%)`).join(" ");
  };
  for (const input of lights) input.addEventListener("input", light);
  const resetLight = () => {
    for (const input of lights) input.value = "100";
    light();
  };
  resetLight();

  const turnTo = (link) => {
    views.set(number, [panzoom.getScale(), panzoom.getPan()]);
    for (const other of links) other.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    number = Number(link.dataset.image);
    image.src = link.href;
    image.alt = link.querySelector("img").alt;
    const [scale, pan] = views.get(number) || [1, { x: 0, y: 0 }];
    panzoom.zoom(scale, { animate: false });
    panzoom.pan(pan.x, pan.y, { animate: false });
  };
  for (const link of links) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      turnTo(link);
    });
  }

  const tools = {
    fit,
    actual,
    toggle: () => (isFitted() ? actual : fit)(),
    in: () => panzoom.zoom(panzoom.getScale() * STEP, { animate: false }),
    out: () => panzoom.zoom(panzoom.getScale() / STEP, { animate: false }),
    full: () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else if (pane.requestFullscreen) pane.requestFullscreen();
    },
    next: () => links.length > 1 && turnTo(links[number % links.length]),
    "reset-light": resetLight,
  };
  pane.addEventListener("click", (event) => {
    const button = event.target.closest("[data-tool]");
    if (button) tools[button.dataset.tool]();
  });
  document.addEventListener("rating:zoom", (event) => tools[event.detail](), { signal });

  const pans = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
  stage.addEventListener("keydown", (event) => {
    const by = pans[event.key];
    if (!by || cross) return;
    event.preventDefault();
    event.stopPropagation();
    panzoom.pan(by[0], by[1], { relative: true, animate: false });
  });

  Rating.viewer = {
    pick,
    show: (wanted) => {
      points = wanted;
      drawPoints();
    },
  };
  if (image.complete && image.naturalWidth) show();
});
