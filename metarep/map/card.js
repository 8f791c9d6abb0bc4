// The card of a point: what is known of it, its nearest neighbours, its picture.

function fillCard(root, i, app, panel) {
  const { points } = app;
  const close = element("button", { type: "button", className: "close", textContent: "×", onclick: () => app.close() });
  close.setAttribute("aria-label", "Close the card");
  const title = element("h2", { id: "card-title", textContent: points.title(i) });
  const network = points.owner ? points.owner[i] : i;
  root.replaceChildren(close, title, ...pictureOf(network, app), facts(i, points), ...neighbours(i, app, panel), ...unitMap(network, app));
}

function facts(i, points) {
  const list = element("dl");
  for (const column of points.columns) {
    const text = column.text(i);
    if (text !== "" && text !== "–") list.append(element("dt", { textContent: column.title }), element("dd", { textContent: text }));
  }
  return element("div", {}, element("h3", { textContent: "What is known" }), list);
}

function neighbours(i, app, panel) {
  const { points } = app;
  const { name, k, nearest, distance, quantiles } = panel.entry;
  if (!k) return [];
  const rows = Array.from({ length: k }, (_, j) => {
    const [other, apart] = [nearest[i * k + j], distance[i * k + j]];
    const dot = element("span", { className: "dot" });
    dot.style.background = app.column.colours[app.codes[other]];
    const open = element("button", { type: "button", textContent: points.title(other), onclick: () => app.open(other, panel, true) });
    const share = element("td", { textContent: shareOfPairs(apart, quantiles) });
    return element("tr", {}, element("td", {}, dot, open), element("td", { textContent: apart.toFixed(2) }), share);
  });
  const head = element("tr", {}, ...["neighbour", "distance", "nearer pairs"].map((text) => element("th", { textContent: text })));
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
  const text = `In ${name}, not on the map. Distance 1 is the median of two ${points.part}s; nearer pairs: the share of all pairs that are nearer than this.`;
  return [element("h3", { textContent: `Nearest ${points.part}s` }), table, element("p", { className: "small", textContent: text })];
}

// The share of pairs that are nearer than a distance, in whole percents, from the quantiles (101) of their distances.
function shareOfPairs(apart, quantiles) {
  const above = quantiles.findIndex((one) => one > apart);
  const percent = above < 0 ? 100 : above - 1;
  return percent < 1 ? "< 1 %" : `${percent} %`;
}
