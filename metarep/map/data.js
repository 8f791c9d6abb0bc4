// What the page holds: typed arrays behind a head in JSON, and what follows from them.

async function unpacked(text) {
  const packed = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const types = { Uint8Array, Uint16Array, Uint32Array, Int8Array, Float32Array };
  return { head, array: (entry) => new types[entry.type](bytes, 4 + length + entry.at, entry.n) };
}

// Texts (N), each told apart once.
function textsOf(entry, array) {
  const codes = array(entry.codes);
  return (i) => entry.values[codes[i]];
}

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
let VIRIDIS = [];
let PUOR = [];

const number = (value) =>
  value !== value ? "–" : Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toLocaleString("en") : String(+value.toPrecision(4));

// The outputs of a fully connected ReLU network: layer by layer weights (rows feed units), then biases.
function reluOutput(params, widths, outputRelu) {
  const layers = [];
  let at = 0;
  for (let layer = 1; layer < widths.length; layer++) {
    const [before, after] = [widths[layer - 1], widths[layer]];
    layers.push([params.subarray(at, at + before * after), params.subarray(at + before * after, at + (before + 1) * after)]);
    at += (before + 1) * after;
  }
  return (inputs) => {
    let values = inputs;
    layers.forEach(([weight, bias], number) => {
      const rectified = number < layers.length - 1 || outputRelu;
      const next = new Array(bias.length);
      for (let unit = 0; unit < bias.length; unit++) {
        let sum = bias[unit];
        for (let i = 0; i < values.length; i++) sum += weight[unit * values.length + i] * values[i];
        next[unit] = rectified && sum < 0 ? 0 : sum;
      }
      values = next;
    });
    return values;
  };
}

const BINS = 128;

// A column of points: what each of them is called, which colour it has, and whether a filter shows it.
class Column {
  constructor(entry, array, owner) {
    Object.assign(this, { name: entry.name, title: entry.title, group: entry.group, words: entry.words, owner });
    const row = owner ? (i) => owner[i] : (i) => i;
    if (entry.numbers) {
      const numbers = array(entry.numbers);
      this.number = (i) => numbers[row(i)];
      this.text = (i) => number(numbers[row(i)]);
      this.numbers = numbers;
      this.colours = [...VIRIDIS.map(hexOf), "#D8D8D8"];
      this.code = (i) => {
        const value = numbers[row(i)];
        if (value !== value) return BINS;
        const [low, high] = this.limits.scale;
        return Math.max(0, Math.min(BINS - 1, Math.floor((BINS * (value - low)) / (high - low || 1))));
      };
    } else if (entry.legend) {
      const codes = array(entry.codes);
      this.legend = entry.legend;
      this.colours = entry.legend.map((one) => one.colour);
      this.code = (i) => codes[row(i)];
      this.text = (i) => entry.legend[codes[row(i)]].value;
    } else {
      const text = textsOf(entry.texts, array);
      this.text = (i) => text(row(i));
    }
  }
  // Of numbers: the least and the greatest, and where colours start and end: at the lowest and the highest 2 %.
  get limits() {
    if (!this.known) {
      const known = this.numbers.filter((value) => value === value).sort();
      const at = (share) => known[Math.round(share * (known.length - 1))] ?? 0;
      this.known = { ends: [at(0), at(1)], scale: [at(0.02), at(0.98)] };
    }
    return this.known;
  }
  get isColour() {
    return Boolean(this.code);
  }
}

const hexOf = (channels) => "#" + channels.map((one) => one.toString(16).padStart(2, "0")).join("");

// Points of one kind: networks, units or layers.
class Points {
  constructor(entry, head, array, networks) {
    Object.assign(this, { part: entry.part, n: entry.n, spaces: entry.spaces, networks });
    this.owner = entry.owner ? array(entry.owner) : null;
    const own = entry.columns.map((one) => new Column(one, array, null));
    this.own = own;
    this.columns = networks ? [...own, ...networks.entries.map((one) => new Column(one, array, this.owner))] : own;
    this.entries = entry.columns;
    const id = textsOf(head.ids, array);
    const group = own.find((column) => column.name === "group");
    const index = own.find((column) => column.name === "index");
    this.title = this.owner
      ? (i) => `${id(this.owner[i])} · ${group ? group.text(i) + " " : ""}${this.part} ${index.text(i)}`
      : id;
    for (const space of this.spaces) {
      for (const [name, at] of Object.entries(space.positions)) {
        const packed = array(at);
        const [x, y] = [new Float32Array(this.n), new Float32Array(this.n)];
        for (let i = 0; i < this.n; i++) [x[i], y[i]] = [(packed[2 * i] / 32767.5 - 1) * 0.92, (packed[2 * i + 1] / 32767.5 - 1) * 0.92];
        space.positions[name] = { x, y };
      }
      space.nearest = array(space.nearest);
      space.distance = array(space.distance);
    }
  }
}
