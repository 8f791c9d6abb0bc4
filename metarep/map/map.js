// The map: what is chosen, and who has to know when it changes.

const FEW_FACTS = 6; // in the tip of a point

class App {
  constructor(data, array) {
    Object.assign(this, { data, array, panels: [], caught: [], current: -1, hidden: new Set(), range: null, shown: null });
    const [networks, ...parts] = data.head.parts;
    const first = new Points(networks, data.head, array, null);
    this.kinds = [first, ...parts.map((entry) => new Points(entry, data.head, array, first))];
    this.renderer = reglScatterplot.createRenderer();
    const { render } = this.renderer;
    this.renderer.render = (draw, canvas) => this.panels.find((one) => one.canvas === canvas)?.isSwept() || render(draw, canvas);
    this.maps = document.getElementById("maps");
    this.controls();
    this.show(first);
  }

  controls() {
    const { head } = this.data;
    const at = (id) => document.getElementById(id);
    at("notes").append(...head.notes.map((text) => element("li", { textContent: text })));
    at("part-tool").hidden = this.kinds.length < 2;
    at("part").append(...this.kinds.map((one) => element("option", { textContent: `${one.part}s` })));
    at("part").onchange = () => this.show(this.kinds[at("part").selectedIndex]);
    at("colour").onchange = () => this.colourBy(at("colour").value);
    at("count-tool").hidden = head.parts[0].spaces.length < 2;
    at("count").onchange = () => this.arrange(Number(at("count").value));
    at("lasso").onclick = () => this.lasso();
    at("fit").onclick = () => this.panels.forEach((panel) => panel.whole());
    at("clear").onclick = () => this.catch([]);
    at("download").onclick = () => this.download();
    document.addEventListener("keydown", (event) => this.key(event));
    new Search(this);
  }

  key(event) {
    if (event.key === "Escape") return this.escape();
    if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
    if (event.key === "l" || event.key === "L") this.lasso();
    if (event.key === "a" || event.key === "A") this.catch(this.shown ?? Array.from({ length: this.points.n }, (_, i) => i));
    if (event.key === "0") this.panels.forEach((panel) => panel.whole());
  }

  escape() {
    if (!document.getElementById("card").hidden) this.close();
    else if (this.caught.length) this.catch([]);
  }

  // -- what is drawn

  show(points) {
    this.points = points;
    Object.assign(this, { caught: [], current: -1, hidden: new Set(), range: null, shown: null });
    document.getElementById("card").hidden = true;
    document.getElementById("title").textContent = `${points.n.toLocaleString("en")} ${points.part}s`;
    const menu = document.getElementById("colour");
    const titles = { label: "Labels", property: "Properties", cluster: "Clusters", fact: "Other facts" };
    const columns = points.columns.filter((one) => one.isColour);
    const groups = Object.entries(titles).map(([group, label]) => {
      const own = columns.filter((one) => one.group === group);
      return own.length ? element("optgroup", { label }, ...own.map((one) => element("option", { value: one.name, textContent: one.title }))) : "";
    });
    menu.replaceChildren(...groups, ...(columns.length ? [] : [element("option", { value: "", textContent: "one colour" })]));
    this.setColour(menu.value);
    this.arrange(Number(document.getElementById("count").value));
    this.said();
  }

  arrange(n) {
    this.maps.dataset.n = n;
    while (this.panels.length > n) this.panels.pop().destroy();
    while (this.panels.length < n) this.panels.push(new Panel(this.maps, this, this.panels.length));
    this.setMode();
    this.ready = Promise.all(this.panels.map((panel) => panel.show())).then(() => (window.drawn ??= performance.now()));
  }

  setColour(name) {
    this.column = this.points.columns.find((one) => one.name === name && one.isColour) ?? { title: "", colours: ["#0072B2"], code: () => 0 };
    this.codes = Array.from({ length: this.points.n }, (_, i) => this.column.code(i));
    Object.assign(this, { hidden: new Set(), range: null, shown: null });
    fillLegend(document.getElementById("legend"), this);
  }

  colourBy(name) {
    this.setColour(name);
    this.ready = Promise.all(this.panels.map((panel) => panel.draw()));
  }

  // -- what a filter shows

  isShown(i) {
    if (this.hidden.has(this.codes[i])) return false;
    if (!this.range) return true;
    const value = this.column.number(i);
    return value >= this.range[0] && value <= this.range[1];
  }

  filter() {
    const all = !this.hidden.size && !this.range;
    this.shown = all ? null : [];
    for (let i = 0; !all && i < this.points.n; i++) if (this.isShown(i)) this.shown.push(i);
    this.catch(this.caught.filter((i) => this.isShown(i)));
    this.panels.forEach((panel) => [panel.filter(), panel.mark()]);
    const n = this.shown ? `${this.shown.length.toLocaleString("en")} of ` : "";
    document.getElementById("title").textContent = `${n}${this.points.n.toLocaleString("en")} ${this.points.part}s`;
  }

  // -- what is selected

  catch(points) {
    this.caught = Array.from(points);
    this.panels.forEach((panel) => panel.select());
    this.said();
  }

  toggle(i) {
    this.catch(this.caught.includes(i) ? this.caught.filter((one) => one !== i) : [...this.caught, i]);
  }

  reselect() {
    this.panels.forEach((panel) => panel.select());
  }

  said() {
    const n = this.caught.length;
    document.getElementById("caught").textContent = n ? `${n.toLocaleString("en")} selected` : "nothing selected";
    for (const id of ["download", "clear"]) document.getElementById(id).disabled = !n;
  }

  lasso() {
    const button = document.getElementById("lasso");
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
    this.setMode();
  }

  setMode() {
    const mouseMode = document.getElementById("lasso").getAttribute("aria-pressed") === "true" ? "lasso" : "panZoom";
    this.panels.forEach((panel) => panel.scatter.set({ mouseMode }));
  }

  csv() {
    const { columns, title, part } = this.points;
    const cell = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const plain = (column, i) => (column.number ? (column.number(i) === column.number(i) ? String(column.number(i)) : "") : column.text(i));
    const rows = this.caught.map((i) => [title(i), ...columns.map((column) => plain(column, i))]);
    return [[part, ...columns.map((one) => one.name)], ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
  }

  download() {
    const link = element("a", { download: `${this.data.head.name}-${this.points.part}s.csv` });
    link.href = URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // -- one point

  open(i, panel = this.panels[0], isFocused = false) {
    const card = document.getElementById("card");
    if (card.hidden) this.before = document.activeElement;
    this.current = i;
    fillCard(card, i, this, panel);
    card.hidden = false;
    card.parentElement.scrollTop = 0;
    if (isFocused) card.focus();
    this.tip(-1);
    this.reselect();
    this.panels.forEach((one) => one.mark());
  }

  close() {
    document.getElementById("card").hidden = true;
    this.current = -1;
    this.panels.forEach((panel) => panel.mark());
    const to = this.before && this.before.isConnected && this.before !== document.body ? this.before : this.panels[0].canvas;
    to.focus({ preventScroll: true });
  }

  go(i, panel) {
    this.current = i;
    this.panels.forEach((one) => one.mark());
    this.tip(i, panel);
  }

  tip(i, panel) {
    const tip = document.getElementById("tip");
    tip.hidden = i < 0;
    if (i < 0) return;
    const { points, column } = this;
    const told = [column, ...points.columns.filter((one) => one !== column && ["label", "property", "cluster"].includes(one.group))];
    const facts = told.filter((one) => one.text && one.text(i) !== "").slice(0, FEW_FACTS);
    tip.replaceChildren(
      element("b", { textContent: points.title(i) }),
      ...facts.map((one) => element("span", { textContent: `${one.title}: ${one.text(i)}` })),
    );
    const [x, y] = panel.at(i);
    const { left, top } = panel.canvas.getBoundingClientRect();
    const { width, height } = tip.getBoundingClientRect();
    const right = left + x + 16 + width < innerWidth ? left + x + 16 : left + x - 16 - width;
    Object.assign(tip.style, { left: `${Math.max(4, right)}px`, top: `${Math.max(4, Math.min(top + y + 12, innerHeight - height - 4))}px` });
  }
}

async function start() {
  const root = document.getElementById("maps");
  try {
    const { head, array } = await unpacked(document.getElementById("data").textContent);
    VIRIDIS = head.sequential.map(rgb);
    PUOR = head.diverging.map(rgb);
    window.map = new App({ head }, array);
  } catch (error) {
    const text = `The map cannot be drawn here: ${error.message}. It needs WebGL and a browser of 2023 or later.`;
    root.replaceChildren(element("p", { className: "failed", role: "alert", textContent: text }));
    throw error;
  }
}
