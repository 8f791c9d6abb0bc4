// Search by part of a name.

const MAX_SORTED = 5000; // names; more are listed as they come

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
    if (this.found.length < MAX_SORTED) this.found.sort((a, b) => points.title(a).localeCompare(points.title(b), "en", { numeric: true }));
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
