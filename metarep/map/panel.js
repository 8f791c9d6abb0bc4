// One map: the points of an embedding, drawn by regl-scatterplot.

const SLOW = 40; // milliseconds a frame; where drawing takes longer, the picture that is there is moved while the map moves
const SETTLED = 220; // milliseconds without a move after which it stands still

class Panel {
  constructor(root, app, number) {
    Object.assign(this, { app, number, isWatched: false, movedAt: 0 });
    this.root = element("div", { className: "panel" });
    this.bar = element("div", { className: "bar" });
    this.plot = element("div", { className: "plot" });
    this.canvas = element("canvas", { tabIndex: 0, role: "application" });
    this.ring = element("div", { className: "ring", hidden: true });
    this.space = select(`Embedding of map ${number + 1}`, [], () => this.place());
    this.projection = select(`Projection of map ${number + 1}`, [], () => this.place());
    this.bar.append(this.space, this.projection);
    this.plot.append(this.canvas, this.ring);
    this.root.append(this.bar, this.plot);
    root.append(this.root);
    this.scatter = reglScatterplot.createScatterplot({
      canvas: this.canvas,
      renderer: app.renderer,
      backgroundColor: "#f7f6f3",
      pointColor: "#6b6b6b",
      pointColorActive: "#1d1d1b",
      pointColorHover: "#1d1d1b",
      pointOutlineWidth: 1.5,
      pointSizeSelected: 1,
      opacity: 0.85,
      opacityInactiveMax: 0.9,
      opacityInactiveScale: 0.35,
      colorBy: "valueA",
      lassoColor: "#0a5f95",
      lassoMinDelay: 8,
      deselectOnDblClick: false,
      deselectOnEscape: false,
      actionKeyMap: { lasso: "shift", merge: "ctrl", remove: "alt" },
    });
    this.listen();
  }

  get entry() {
    return this.app.points.spaces.find((one) => one.name === this.space.value);
  }

  listen() {
    const { scatter, app } = this;
    let isLasso = false;
    scatter.subscribe("lassoStart", () => (isLasso = true));
    scatter.subscribe("select", ({ points }) => {
      if (isLasso) app.catch(points);
      else if (points.length) app.open(points[points.length - 1], this);
      isLasso = false;
    });
    scatter.subscribe("lassoEnd", () => setTimeout(() => (isLasso = false)));
    scatter.subscribe("deselect", () => app.reselect());
    scatter.subscribe("pointOver", (i) => app.tip(i, this));
    scatter.subscribe("pointOut", () => app.tip(-1));
    scatter.subscribe("view", () => this.moved());
    for (const name of ["mousedown", "wheel"]) this.canvas.addEventListener(name, () => (this.isMoved = true), { passive: true });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => app.tip(-1));
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.plot);
  }

  resize() {
    const { width, height } = this.plot.getBoundingClientRect();
    if (width && height) {
      this.drawn = undefined;
      this.app.renderer.resize(width, height); // all panels are of one size
      this.app.renderer.refresh();
      this.scatter.set({ width, height, aspectRatio: 1 });
      if (!this.isMoved) this.whole();
      requestAnimationFrame(() => this.mark());
    }
  }

  // The points of another kind, or the same again.
  show() {
    const names = this.app.points.spaces.map((one) => one.name);
    offer(this.space, names, names[this.number % names.length]);
    return this.place();
  }

  // The points at the places of the chosen projection.
  place() {
    const names = Object.keys(this.entry.positions);
    offer(this.projection, names, names[0]);
    this.canvas.setAttribute("aria-label", `Map of ${this.app.points.n.toLocaleString("en")} ${this.app.points.part}s: ${this.space.value}, ${this.projection.value}`);
    return this.draw();
  }

  // Draws what is chosen: one drawing at a time, and once more where something changed meanwhile.
  draw() {
    this.isStale = true;
    return (this.drawing ??= this.drawAll());
  }

  async drawAll() {
    while (this.isStale && !this.scatter.get("isDestroyed")) {
      this.isStale = false;
      await this.drawOnce();
    }
    this.drawing = null;
  }

  async drawOnce() {
    const { app, scatter } = this;
    const places = this.entry.positions[this.projection.value];
    const { x, y } = places;
    if (this.indexed !== places) this.index = undefined;
    scatter.set({ pointColor: app.column.colours.length > 1 ? app.column.colours : [...app.column.colours, "#6b6b6b"], pointSize: pointSize(app.points.n) });
    await scatter.draw({ x, y, z: app.codes }, { zDataType: "categorical", wDataType: "continuous", spatialIndex: this.index });
    [this.index, this.indexed] = [scatter.get("spatialIndex"), places];
    this.filter();
    this.mark();
  }

  filter() {
    const { shown } = this.app;
    if (shown) this.scatter.filter(shown, { preventEvent: true });
    else if (this.scatter.get("isPointsFiltered")) this.scatter.unfilter({ preventEvent: true });
    this.select();
  }

  select() {
    const { caught } = this.app;
    if (caught.length) this.scatter.select(caught, { preventEvent: true });
    else this.scatter.deselect({ preventEvent: true });
  }

  moved() {
    this.mark();
    this.app.tip(-1);
    this.movedAt = performance.now();
    if (!this.isWatched) {
      this.isWatched = true;
      requestAnimationFrame((now) => this.watch(now, 0));
    }
  }

  // Frame by frame until the map stands still: are the frames slow?
  watch(then, nSlow) {
    requestAnimationFrame((now) => {
      const slow = now - then > SLOW ? nSlow + 1 : 0;
      if (slow > 2) this.app.isSlow = true;
      if (performance.now() - this.movedAt < SETTLED) return this.watch(now, slow);
      this.isWatched = false;
      if (!this.picture) return;
      this.drawn = undefined;
      this.scatter.redraw();
    });
  }

  // In place of drawing, while a map of slow frames moves: puts the picture that is there where it belongs. Is that enough?
  isSwept() {
    const { canvas, drawn, scatter } = this;
    const { width, height } = canvas;
    const view = scatter.get("cameraView");
    const [scale, x, y] = [view[0], view[12], view[13]];
    if (!this.app.isSlow || !drawn || (scale === drawn.scale && x === drawn.x && y === drawn.y)) {
      Object.assign(this, { drawn: { scale, x, y }, picture: undefined });
      return false;
    }
    if (!this.picture) {
      this.picture = new OffscreenCanvas(width, height);
      this.picture.getContext("2d").drawImage(canvas, 0, 0);
    }
    const by = scale / drawn.scale;
    const left = ((1 - by) * width + (x - by * drawn.x) * height) / 2; // both axes are in half heights of the plot
    const top = ((1 - by) * height - (y - by * drawn.y) * height) / 2;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(this.picture, left, top, by * width, by * height);
    return true;
  }

  // Where a point lies in the plot, in pixels; undefined before anything is drawn.
  at(i) {
    return i >= 0 && this.scatter.get("isPointsDrawn") ? this.scatter.getScreenPosition(i) : undefined;
  }

  // The ring about the point whose card is open, or which the keyboard is at.
  mark() {
    const place = this.at(this.app.current);
    this.ring.hidden = !place || !this.app.isShown(this.app.current);
    if (place) Object.assign(this.ring.style, { left: `${place[0]}px`, top: `${place[1]}px` });
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (step) this.app.go(this.towards(...step), this);
    else if (event.key === "Enter" && this.app.current >= 0) this.app.open(this.app.current, this, true);
    else if (event.key === " " && this.app.current >= 0) this.app.toggle(this.app.current);
    else if ("+=-".includes(event.key)) this.zoom(event.key === "-" ? 1.25 : 0.8);
    else return;
    event.preventDefault();
  }

  zoom(factor) {
    this.isMoved = true;
    const distance = this.scatter.get("cameraDistance") * factor;
    this.scatter.zoomToLocation(this.scatter.get("cameraTarget"), distance, { transition: false });
  }

  // The nearest point within 45 degrees of a direction; from nowhere, the one in the middle.
  towards(dx, dy) {
    const { x, y } = this.entry.positions[this.projection.value];
    const at = this.app.current;
    const [x0, y0] = at < 0 ? [0, 0] : [x[at], y[at]];
    let [best, least] = [at, Infinity];
    for (let i = 0; i < x.length; i++) {
      if (i === at || !this.app.isShown(i)) continue;
      const [a, b] = [x[i] - x0, y[i] - y0];
      const along = a * dx + b * dy;
      const across = Math.abs(a * dy) + Math.abs(b * dx);
      if (at >= 0 && (along <= 0 || across > along)) continue;
      const distance = a * a + b * b;
      if (distance < least) [best, least] = [i, distance];
    }
    return best;
  }

  // Back to where all points are seen; the plot is fitted by its shorter side.
  whole() {
    this.isMoved = false;
    const { width, height } = this.plot.getBoundingClientRect();
    this.scatter.zoomToLocation([0, 0], Math.max(1, height / width), { transition: false });
  }

  destroy() {
    this.sizes.disconnect();
    this.scatter.destroy();
    this.root.remove();
  }
}

const pointSize = (n) => Math.max(2.5, Math.min(11, 60 / Math.sqrt(Math.sqrt(n) + 1)));

function element(tag, properties = {}, ...children) {
  const { role, ...others } = properties;
  const made = Object.assign(document.createElement(tag), others);
  if (role) made.setAttribute("role", role);
  made.append(...children);
  return made;
}

// The options of a menu, its choice kept where it is still one; a menu of one is not shown.
function offer(menu, names, first) {
  const before = menu.value;
  menu.replaceChildren(...names.map((name) => element("option", { textContent: name })));
  menu.value = names.includes(before) ? before : first;
  menu.hidden = names.length < 2;
}

function select(label, names, changed) {
  const made = element("select", {}, ...names.map((name) => element("option", { textContent: name })));
  made.setAttribute("aria-label", label);
  made.addEventListener("change", changed);
  return made;
}
