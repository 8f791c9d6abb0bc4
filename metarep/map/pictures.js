// The picture of a network in its card.

const SIDE = 272;

function pictureOf(network, app) {
  const { pictures } = app.data.head;
  if (!pictures) return [];
  return pictures.kind === "domain" ? [...domainPicture(network, app)] : [...weightPictures(network, app)];
}

function* domainPicture(network, { data, array }) {
  const { params, ends, spec, caption } = data.head.pictures;
  const limits = array(ends);
  const [widths, relu] = textsOf(spec, array)(network).split("-relu");
  const canvas = element("canvas", { className: "picture", width: SIDE, height: SIDE, role: "img" });
  canvas.setAttribute("aria-label", caption);
  const own = array(params).subarray(limits[network], limits[network + 1]);
  PICTURE(canvas.getContext("2d"), SIDE, own, widths.split("-").map(Number), relu !== undefined);
  yield canvas;
  yield element("p", { className: "small", textContent: caption });
}

function* weightPictures(network, { data, array }) {
  const { architecture, architectures, ends, pixels } = data.head.pictures;
  const limits = array(ends);
  const own = array(pixels).subarray(limits[network], limits[network + 1]);
  if (!own.length) return;
  const figures = element("div", { className: "weights" });
  let at = 0;
  for (const { name, shape, size, n } of architectures[array(architecture)[network]]) {
    const [height, width] = size;
    const figure = element("figure", {}, image(own.subarray(at, at + width * height), width, height, `Weights of ${name}`));
    at += width * height;
    if (n) figure.append(spectrum(own.subarray(at, at + n), `Singular values of ${name}`));
    at += n;
    figure.append(element("figcaption", { textContent: `${name} ${shape.join(" × ")}` }));
    figures.append(figure);
  }
  yield element("h3", { textContent: "Weights" });
  yield figures;
  const text = "Evenly spread rows and columns, purple below 0, orange above, white at 0. Bars: the largest singular values, of the largest.";
  yield element("p", { className: "small", textContent: text });
}

function image(values, width, height, label) {
  const canvas = element("canvas", { width, height, role: "img" });
  canvas.setAttribute("aria-label", label);
  canvas.style.aspectRatio = `${width} / ${Math.max(height, width / 6)}`;
  const context = canvas.getContext("2d");
  const data = context.createImageData(width, height);
  values.forEach((value, i) => data.data.set([...PUOR[Math.round(((value + 127) / 254) * (PUOR.length - 1))], 255], 4 * i));
  context.putImageData(data, 0, 0);
  return canvas;
}

function spectrum(values, label) {
  const canvas = element("canvas", { className: "spectrum", width: 128, height: 28, role: "img" });
  canvas.setAttribute("aria-label", label);
  const context = canvas.getContext("2d");
  context.fillStyle = "#0072B2";
  const step = 128 / Math.max(values.length, 8);
  values.forEach((value, i) => context.fillRect(i * step, 28 * (1 - value / 127), Math.max(1, step - 1), (28 * value) / 127));
  return canvas;
}

// The units of a network among all units, in the first embedding that has them.
function unitMap(network, app) {
  const units = app.kinds.find((one) => one.part === "unit");
  if (!units) return [];
  const { x, y } = Object.values(units.spaces[0].positions)[0];
  const canvas = element("canvas", { className: "picture", width: SIDE, height: SIDE, role: "img" });
  canvas.setAttribute("aria-label", "The units of this network among all units");
  const context = canvas.getContext("2d");
  context.fillStyle = "#f7f6f3";
  context.fillRect(0, 0, SIDE, SIDE);
  const dot = (i, size) => context.fillRect(((x[i] + 1) * SIDE) / 2 - size / 2, ((1 - y[i]) * SIDE) / 2 - size / 2, size, size);
  context.fillStyle = "#cfccc4";
  const step = Math.max(1, Math.floor(units.n / 20000));
  for (let i = 0; i < units.n; i += step) dot(i, 2);
  let n = 0;
  context.fillStyle = "#D55E00";
  for (let i = 0; i < units.n; i++) if (units.owner[i] === network) [dot(i, 5), n++];
  if (!n) return [];
  const text = `Its ${n === 1 ? "unit" : `${n} units`} (orange) among all units: ${units.spaces[0].name}.`;
  return [element("h3", { textContent: "Unit map" }), canvas, element("p", { className: "small", textContent: text })];
}
