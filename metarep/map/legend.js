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
  const { ends: limits, scale } = column.limits;
  const [low, high] = scale;
  const bar = element("div", { className: "ramp" });
  bar.style.background = `linear-gradient(to right, ${column.colours.slice(0, -1).filter((_, i) => i % 8 === 0).join(", ")})`;
  const ends = element("div", { className: "ends" }, element("span", { textContent: number(low) }), element("span", { textContent: number(high) }));
  const sliders = ["from", "to"].map((name, side) => {
    const input = element("input", { type: "range", min: 0, max: 1000, value: 1000 * side });
    const said = element("output", { textContent: number(limits[side]) });
    input.setAttribute("aria-label", `${column.title} ${name}`);
    input.oninput = () => {
      const [from, to] = sliders.map((one) => Number(one.input.value));
      const value = (at) => (at === 1000 ? limits[1] : limits[0] + (at / 1000) * (limits[1] - limits[0]));
      said.textContent = number(value(Number(input.value)));
      app.range = from === 0 && to === 1000 ? null : [value(from), value(to)];
      app.filter();
    };
    return { input, row: element("div", { className: "range" }, element("span", { textContent: name }), input, said) };
  });
  const beyond = "The colours span all but the lowest and the highest 2\u00a0%.";
  return [bar, ends, element("p", { className: "small", textContent: beyond }), ...sliders.map((one) => one.row)];
}
