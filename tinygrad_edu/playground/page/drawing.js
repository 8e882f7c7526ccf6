// What all pictures share: colours of the present theme, canvases in the screen's own pixels, numbers as people write them.

export const palette = {};

function channels(color) {
  const n = parseInt(color.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

/** Read the theme's colours; `shades[byte]` is the colour of a value, from orange (1) by the card's
    colour (128) to blue (255); `soft` is the same for what lies under points. */
export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "faint", "card", "line", "shade", "blue", "orange", "accent"]) palette[name] = style.getPropertyValue("--" + name).trim();
  const [low, middle, high] = [palette.orange, palette.card, palette.blue].map(channels);
  for (const [table, strength] of [["shades", 0.85], ["soft", 0.55]]) {
    const bytes = new Uint8ClampedArray(256 * 4);
    for (let i = 0; i < 256; i++) {
      const t = Math.max(-1, (i - 128) / 127), end = t < 0 ? low : high;
      for (let c = 0; c < 3; c++) bytes[4 * i + c] = middle[c] + (end[c] - middle[c]) * Math.abs(t) * strength;
      bytes[4 * i + 3] = 255;
    }
    palette[table] = new Uint32Array(bytes.buffer);
  }
}

/** The canvas's context, in CSS pixels, and its size; it is made anew only when the size has changed. */
export function surface(canvas) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return {context, width, height};
}

/** Colour a square of bytes into a canvas that has one pixel for each. */
export function colour(canvas, bytes, side, table = palette.shades) {
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext("2d"), image = context.createImageData(side, side), pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[bytes[i]];
  context.putImageData(image, 0, 0);
}

/** 0.01234 → "0.0123", −12345.6 → "−12350", 1e−9 → "1e−9". */
export function written(x, digits = 3) {
  if (x === null || x === undefined || Number.isNaN(x)) return "not a number";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  const text = size !== 0 && (size < 1e-4 || size >= 1e6) ? x.toExponential(digits - 1).replace("e+", "e") : String(Number(x.toPrecision(digits)));
  return text.replace(/-/g, "−");
}

/** The same with a fixed number of decimals, for values that change while one looks. */
export function fixed(x, decimals = 2) {
  if (x === null || x === undefined || !Number.isFinite(x)) return written(x);
  return Math.abs(x) >= 1e4 ? written(x) : x.toFixed(decimals).replace("-", "−");
}

/** An element with attributes and children; text stays text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}
