// One map: the points of an embedding, drawn by regl-scatterplot.

const SLOW = 45; // milliseconds a frame; on slower machines a part of the points is drawn while the map moves
const THIN = 6000;
const SETTLED = 220;

class Panel {
  constructor(root, app, number) {
    Object.assign(this, { app, number, frames: [], isThin: false, timer: 0, current: -1 });
    this.root = element("div", { className: "panel" });
    this.bar = element("div", { className: "bar" });
    this.plot = element("div", { className: "plot" });
    this.canvas = element("canvas", { tabIndex: 0, role: "application" });
    this.ring = element("div", { className: "ring", hidden: true });
    this.space = select(`Embedding of map ${number + 1}`, app.points.spaces.map((one) => one.name), () => this.place());
    this.projection = select(`Projection of map ${number + 1}`, [], () => this.place());
    this.space.value = app.points.spaces[number % app.points.spaces.length].name;
    this.space.hidden = app.points.spaces.length < 2;
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
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("blur", () => app.tip(-1));
    new ResizeObserver(() => this.resize()).observe(this.plot);
  }

  resize() {
    const { width, height } = this.plot.getBoundingClientRect();
    if (width && height) {
      this.scatter.set({ width, height, aspectRatio: 1 });
      requestAnimationFrame(() => this.mark());
    }
  }

  // The points at the places of the chosen projection.
  place() {
    const names = Object.keys(this.entry.positions);
    if (names.join() !== [...this.projection.options].map((one) => one.value).join()) {
      const before = this.projection.value;
      this.projection.replaceChildren(...names.map((name) => element("option", { textContent: name })));
      this.projection.value = names.includes(before) ? before : names[0];
    }
    this.projection.hidden = names.length < 2;
    this.canvas.setAttribute("aria-label", `Map of ${this.app.points.n.toLocaleString("en")} ${this.app.points.part}s: ${this.space.value}, ${this.projection.value}`);
    this.index = undefined;
    return this.draw();
  }

  async draw() {
    const { app, scatter } = this;
    const { x, y } = this.entry.positions[this.projection.value];
    scatter.set({ pointColor: app.column.colours.length > 1 ? app.column.colours : [...app.column.colours, "#6b6b6b"], pointSize: pointSize(app.points.n) });
    await scatter.draw({ x, y, z: app.codes }, { zDataType: "categorical", wDataType: "continuous", spatialIndex: this.index });
    this.index = scatter.get("spatialIndex");
    this.isThin = false;
    this.filter();
    this.mark();
  }

  filter() {
    const { shown } = this.app;
    if (shown) this.scatter.filter(shown, { preventEvent: true });
    else this.scatter.unfilter({ preventEvent: true });
    this.select();
  }

  select() {
    const { caught } = this.app;
    if (caught.length) this.scatter.select(caught, { preventEvent: true });
    else this.scatter.deselect({ preventEvent: true });
  }

  // While a slow machine moves the map, it draws the first of the points, which stand in a random order.
  moved() {
    this.mark();
    this.app.tip(-1);
    const now = performance.now();
    this.frames = [...this.frames.filter((then) => now - then < 600), now];
    const n = (this.app.shown ?? this.app.points).length ?? this.app.points.n;
    const [first] = this.frames;
    const isSlow = this.frames.length > 2 && (now - first) / (this.frames.length - 1) > SLOW;
    if (!this.isThin && n > 2 * THIN && (isSlow || this.app.isSlow)) {
      this.isThin = this.app.isSlow = true;
      const all = this.app.shown ?? Uint32Array.from({ length: n }, (_, i) => i);
      this.scatter.filter(all.slice(0, THIN), { preventEvent: true });
    }
    clearTimeout(this.timer);
    if (this.isThin) {
      this.timer = setTimeout(() => {
        this.isThin = false;
        this.frames = [];
        this.filter();
      }, SETTLED);
    }
  }

  // The ring about the point whose card is open, or which the keyboard is at.
  mark() {
    const place = this.app.current < 0 ? undefined : this.scatter.getScreenPosition(this.app.current);
    this.ring.hidden = !place || !this.app.isShown(this.app.current);
    if (place) Object.assign(this.ring.style, { left: `${place[0]}px`, top: `${place[1]}px` });
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (step) this.app.go(this.towards(...step), this);
    else if (event.key === "Enter" && this.app.current >= 0) this.app.open(this.app.current, this, true);
    else if ("+=-".includes(event.key)) this.zoom(event.key === "-" ? 1.25 : 0.8);
    else return;
    event.preventDefault();
  }

  zoom(factor) {
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

  whole() {
    this.scatter.zoomToOrigin({ transition: false });
  }

  destroy() {
    clearTimeout(this.timer);
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

function select(label, names, changed) {
  const made = element("select", {}, ...names.map((name) => element("option", { textContent: name })));
  made.setAttribute("aria-label", label);
  made.addEventListener("change", changed);
  return made;
}
