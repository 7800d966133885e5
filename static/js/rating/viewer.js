// The image: fit, 1:1, zoom, pan, full screen, brightness and contrast. Display only; nothing is sent or kept.
Rating.onCase((form, signal) => {
  const stage = document.querySelector("[data-viewer]");
  const image = stage && stage.querySelector("img");
  if (!image || typeof Panzoom !== "function") return;

  const pane = stage.closest(".image-pane");
  const zoomShown = pane.querySelector("[data-zoom]");
  const STEP = 1.35;
  const PAN = 60;
  const panzoom = Panzoom(image, { minScale: 0.1, maxScale: 16, step: 0.25, canvas: true, cursor: "grab" });

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

  const showZoom = () => {
    const percent = (100 * panzoom.getScale()) / actualScale();
    zoomShown.textContent = Number.isFinite(percent) ? `${Math.round(percent)} %` : "";
  };
  image.addEventListener("panzoomchange", showZoom);
  image.addEventListener("load", showZoom);
  if (image.complete && image.naturalWidth) showZoom();
  window.addEventListener("resize", showZoom, { signal });
  stage.addEventListener("wheel", (event) => panzoom.zoomWithWheel(event), { passive: false });
  stage.addEventListener("dblclick", () => (isFitted() ? actual() : fit()));

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

  const fullScreen = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (pane.requestFullscreen) pane.requestFullscreen();
  };
  const tools = {
    fit,
    actual,
    in: () => panzoom.zoom(panzoom.getScale() * STEP, { animate: false }),
    out: () => panzoom.zoom(panzoom.getScale() / STEP, { animate: false }),
    full: fullScreen,
    "reset-light": resetLight,
  };
  pane.addEventListener("click", (event) => {
    const button = event.target.closest("[data-tool]");
    if (button) tools[button.dataset.tool]();
  });

  const pans = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
  stage.addEventListener("keydown", (event) => {
    const by = pans[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    panzoom.pan(by[0], by[1], { relative: true, animate: false });
  });

  for (const link of pane.querySelectorAll("[data-image]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      for (const other of pane.querySelectorAll("[data-image]")) other.removeAttribute("aria-current");
      link.setAttribute("aria-current", "true");
      image.src = link.href;
      image.alt = link.querySelector("img").alt;
      fit();
    });
  }

  document.addEventListener("rating:zoom", (event) => {
    if (event.detail === "toggle") (isFitted() ? actual : fit)();
    else tools[event.detail]();
  }, { signal });
});
