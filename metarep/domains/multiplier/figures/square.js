// A network of two inputs on the unit square: its output as colour with contours, and where each unit of the first layer switches.
(context, size, params, widths, outputRelu) => {
  const output = reluOutput(params, widths, outputRelu);
  const image = context.createImageData(size, size);
  const level = (x, y) => output([x, y])[0];
  const above = new Float32Array(size + 1).fill(NaN);
  for (let row = 0; row < size; row++) {
    let left = NaN;
    for (let column = 0; column < size; column++) {
      const value = level((column + 0.5) / size, 1 - (row + 0.5) / size);
      const step = Math.floor(10 * value);
      const contour = (left === left && step !== left) || (above[column] === above[column] && step !== above[column]);
      const [r, g, b] = VIRIDIS[Math.max(0, Math.min(VIRIDIS.length - 1, Math.round(value * (VIRIDIS.length - 1))))];
      const shade = contour ? 0.72 : 1;
      image.data.set([r * shade, g * shade, b * shade, 255], 4 * (row * size + column));
      left = above[column] = step;
    }
  }
  context.putImageData(image, 0, 0);
  const [inputs, hidden] = widths;
  if (inputs !== 2 || widths.length < 3 || hidden > 8) return;
  const bias = params.subarray(2 * hidden, 3 * hidden);
  for (let unit = 0; unit < hidden; unit++) {
    const [a, b] = params.subarray(2 * unit, 2 * unit + 2);
    const long = Math.hypot(a, b);
    if (!long) continue;
    const at = [(-a * bias[unit]) / long ** 2, (-b * bias[unit]) / long ** 2];
    const pixel = (x, y) => [x * size, (1 - y) * size];
    for (const [colour, width] of [["#ffffff", 5], ["#222222", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(...pixel(at[0] - (4 * b) / long, at[1] + (4 * a) / long));
      context.lineTo(...pixel(at[0] + (4 * b) / long, at[1] - (4 * a) / long));
      for (let along = -2; along <= 2; along += 0.08) {
        const [x, y] = [at[0] + (along * b) / long, at[1] - (along * a) / long];
        context.moveTo(...pixel(x, y));
        context.lineTo(...pixel(x + (0.025 * a) / long, y + (0.025 * b) / long));
      }
      context.stroke();
    }
  }
};
