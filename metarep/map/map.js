// The map: what is chosen, and who has to know when it changes.

const FEW_FACTS = 6; // in the tip of a point

class App {
  constructor(data, array) {
    Object.assign(this, { data, array, panels: [], caught: [], current: -1, hidden: new Set(), range: null, shown: null });
    const [networks, ...parts] = data.head.parts;
    const first = new Points(networks, data.head, array, null);
    this.kinds = [first, ...parts.map((entry) => new Points(entry, data.head, array, first))];
    this.renderer = reglScatterplot.createRenderer();
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
    return Promise.all(this.panels.map((panel) => panel.show())).then(() => (window.drawn ??= performance.now()));
  }

  setColour(name) {
    this.column = this.points.columns.find((one) => one.name === name && one.isColour) ?? { title: "", colours: ["#0072B2"], code: () => 0 };
    this.codes = Array.from({ length: this.points.n }, (_, i) => this.column.code(i));
    Object.assign(this, { hidden: new Set(), range: null, shown: null });
    fillLegend(document.getElementById("legend"), this);
  }

  colourBy(name) {
    this.setColour(name);
    return Promise.all(this.panels.map((panel) => panel.draw()));
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

// The values of the column that colours the points; a click filters.
function fillLegend(root, app) {
  const { column } = app;
  root.replaceChildren(element("h2", { id: "legend-title", textContent: column.title || "Legend" }));
  if (column.words) root.append(element("p", { className: "small", textContent: column.words }));
  if (column.legend) root.append(...entries(app));
  else if (column.number) root.append(...ramp(app));
}

function entries(app) {
  const { legend } = app.column;
  const counts = new Array(legend.length).fill(0);
  for (const code of app.codes) counts[code]++;
  const all = element("button", { type: "button", textContent: "Show all", hidden: true });
  const buttons = legend.map((one, code) => {
    const dot = element("i");
    dot.style.background = one.colour;
    const texts = [element("span", { textContent: one.value || "none" }), element("em", { textContent: counts[code].toLocaleString("en") })];
    return element("button", { type: "button", onclick: () => pick(code) }, dot, ...texts);
  });
  const say = () => {
    buttons.forEach((button, code) => button.setAttribute("aria-pressed", !app.hidden.has(code)));
    all.hidden = !app.hidden.size;
  };
  const set = (hidden) => {
    app.hidden = new Set(hidden);
    app.filter();
    say();
  };
  const codes = legend.map((_, code) => code);
  const pick = (code) => {
    if (!app.hidden.size) return set(codes.filter((one) => one !== code)); // that one alone
    const hidden = codes.filter((one) => (one === code ? !app.hidden.has(one) : app.hidden.has(one)));
    set(hidden.length === codes.length ? [] : hidden);
  };
  all.onclick = () => set([]);
  say();
  return [element("ul", {}, ...buttons.map((button) => element("li", {}, button))), all];
}

function ramp(app) {
  const { column } = app;
  const [low, high] = column.scale;
  const bar = element("div", { className: "ramp" });
  bar.style.background = `linear-gradient(to right, ${column.colours.slice(0, -1).filter((_, i) => i % 8 === 0).join(", ")})`;
  const ends = element("div", { className: "ends" }, element("span", { textContent: number(low) }), element("span", { textContent: number(high) }));
  const sliders = ["from", "to"].map((name, side) => {
    const input = element("input", { type: "range", min: 0, max: 1000, value: 1000 * side });
    const said = element("output", { textContent: number(column.ends[side]) });
    input.setAttribute("aria-label", `${column.title} ${name}`);
    input.oninput = () => {
      const [from, to] = sliders.map((one) => Number(one.input.value));
      const value = (at) => column.ends[0] + (at / 1000) * (column.ends[1] - column.ends[0]);
      said.textContent = number(value(Number(input.value)));
      app.range = from === 0 && to === 1000 ? null : [value(from), value(to)];
      app.filter();
    };
    return { input, row: element("div", { className: "range" }, element("span", { textContent: name }), input, said) };
  });
  const beyond = "The colours span all but the lowest and the highest 2 %.";
  return [bar, ends, element("p", { className: "small", textContent: beyond }), ...sliders.map((one) => one.row)];
}

// Search by part of a name.
class Search {
  constructor(app) {
    Object.assign(this, { app, found: [], at: -1 });
    this.input = document.getElementById("query");
    this.list = document.getElementById("found");
    this.input.oninput = () => this.look();
    this.input.onkeydown = (event) => this.key(event);
    this.input.onblur = () => setTimeout(() => this.shut(), 150);
    document.getElementById("search").onsubmit = (event) => event.preventDefault();
  }

  look() {
    const { points } = this.app;
    const text = this.input.value.trim().toLowerCase();
    this.found = [];
    for (let i = 0; text && i < points.n; i++) if (points.title(i).toLowerCase().includes(text)) this.found.push(i);
    this.at = this.found.length ? 0 : -1;
    this.fill(text);
  }

  fill(text) {
    const { points } = this.app;
    const items = this.found.slice(0, 30).map((i) => {
      const [title, start] = [points.title(i), points.title(i).toLowerCase().indexOf(text)];
      const parts = [title.slice(0, start), element("mark", { textContent: title.slice(start, start + text.length) }), title.slice(start + text.length)];
      return element("li", { role: "option", onmousedown: () => this.choose(i) }, ...parts);
    });
    if (this.found.length > 1) {
      const all = `Select all ${this.found.length.toLocaleString("en")} that match`;
      items.push(element("li", { role: "option", className: "all", textContent: all, onmousedown: () => this.all() }));
    }
    if (text && !this.found.length) items.push(element("li", { textContent: "No name has this in it." }));
    items.forEach((item, n) => (item.id = `found-${n}`));
    this.list.replaceChildren(...items);
    this.list.hidden = !text;
    this.input.setAttribute("aria-expanded", Boolean(text));
    this.point();
  }

  point() {
    [...this.list.children].forEach((item, n) => item.setAttribute("aria-selected", n === this.at));
    this.input.setAttribute("aria-activedescendant", this.at < 0 ? "" : `found-${this.at}`);
    this.list.children[this.at]?.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const n = this.list.hidden ? 0 : this.list.children.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (n) this.at = (this.at + (event.key === "ArrowDown" ? 1 : n - 1)) % n;
      this.point();
    } else if (event.key === "Enter" && this.at >= 0 && n) {
      if (this.list.children[this.at].className === "all") this.all();
      else this.choose(this.found[this.at]);
    } else if (event.key === "Escape" && n) {
      event.stopPropagation();
      this.shut();
    }
  }

  choose(i) {
    this.shut();
    if (!this.app.isShown(i)) this.app.colourBy(this.app.column.name); // a filter hides it
    this.app.open(i, this.app.panels[0], true);
  }

  all() {
    this.shut();
    this.app.catch(this.found.filter((i) => this.app.isShown(i)));
  }

  shut() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", false);
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
