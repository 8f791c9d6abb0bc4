// A network of one input as the graph of its function on [-1, 1].
(context, size, params, widths, outputRelu) => {
  const output = reluOutput(params, widths, outputRelu);
  const values = Array.from({ length: size }, (_, i) => output([(2 * i) / (size - 1) - 1])[0]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const y = (value) => size * (0.94 - (0.88 * (value - low)) / (high - low || 1));
  context.strokeStyle = "#B9B9B9";
  context.strokeRect(0.5, 0.5, size - 1, size - 1);
  context.beginPath();
  if (low < 0 && high > 0) [context.moveTo(0, y(0)), context.lineTo(size, y(0))];
  context.moveTo(size / 2, 0);
  context.lineTo(size / 2, size);
  context.stroke();
  context.strokeStyle = "#0072B2";
  context.lineWidth = 2.5;
  context.beginPath();
  values.forEach((value, i) => context.lineTo(i, y(value)));
  context.stroke();
};
